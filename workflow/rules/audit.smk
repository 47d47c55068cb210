rule audit:
    input:
        script=script("audit"),
        images=f"{RESULTS}/data_selection/images.csv",
        splits=f"{RESULTS}/data_selection/splits.csv",
    output:
        json=f"{RESULTS}/data_selection/audit.json",
        markdown=report(
            f"{RESULTS}/data_selection/audit.md",
            category="Data set",
            labels={"what": "audit of the splits"},
            caption="../report/audit.rst",
        ),
    log:
        f"{RESULTS}/logs/audit.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700, 0.7),
        runtime=growing(10, 0.003),
    params:
        code=code("audit"),
        buffer=duration_text(CAMPAIGN.config.splits.buffer),
        group_by=CAMPAIGN.config.splits.group_by,
    message:
        "audit: what the splits share"
    shell:
        "python {input.script:q} --images {input.images:q} --splits {input.splits:q}"
        " --buffer {params.buffer} --group-by {params.group_by:q} --json {output.json:q}"
        " --markdown {output.markdown:q} --terminal 3 3>&2 > {log:q} 2>&1"
