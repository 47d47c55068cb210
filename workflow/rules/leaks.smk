rule leaks:
    input:
        script=script("leaks"),
        images=f"{RESULTS}/data_selection/images.csv",
    output:
        leaks=report(
            f"{RESULTS}/data_selection/leaks.csv",
            category="Data set",
            labels={"what": "leaks, by keyword"},
            caption="../report/leaks.rst",
        ),
    log:
        f"{RESULTS}/logs/leaks.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700, 0.7),
        runtime=growing(10, 0.003),
    params:
        code=code("leaks"),
        keywords=CAMPAIGN.config.leaks.keywords,
        seed=CAMPAIGN.config.sample.seed,
        limit=(
            []
            if CAMPAIGN.config.leaks.fail_above is None
            else [f"--fail-above={CAMPAIGN.config.leaks.fail_above}"]
        ),
    message:
        "leaks: how well each keyword alone tells the label"
    shell:
        "python {input.script:q} --images {input.images:q} --keywords {params.keywords:q}"
        " --seed={params.seed:q} {params.limit:q} --leaks {output.leaks:q} --terminal 3 3>&2 > {log:q} 2>&1"
