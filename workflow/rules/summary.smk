rule summary:
    input:
        script=script("summary"),
        accounts=every_job("account.json"),
        config=settings("config"),
        ledgers=every_ledger,
        images=f"{RESULTS}/data_selection/images.csv",
        labels=f"{RESULTS}/data_selection/image_labels.csv",
        labels_txt=f"{RESULTS}/data_selection/image_labels.txt",
        about=[
            f"{RESULTS}/data_selection/{name}"
            for name in ("leaks.csv", "splits.csv", "audit.json", "audit.md")
        ],
    output:
        csv=report(
            f"{RESULTS}/summary.csv",
            category="Campaign",
            labels={"what": "counts of each flare"},
            caption="../report/summary.rst",
        ),
        markdown=f"{RESULTS}/summary.md",
        provenance=f"{RESULTS}/provenance.json",
    log:
        f"{RESULTS}/logs/summary.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700, 0.3),
        runtime=growing(10, 0.003),
    params:
        code=code("summary"),
        results=lambda wildcards, output: str(Path(output.csv).parent),
    message:
        "summary: counts and provenance"
    shell:
        "python {input.script:q} --accounts {input.accounts:q} --config {input.config:q}"
        " --results {params.results:q} --outputs {input.images:q} {input.labels:q} {input.labels_txt:q} {input.about:q}"
        " --csv {output.csv:q} --markdown {output.markdown:q} --provenance {output.provenance:q} --terminal 3 3>&2 > {log:q} 2>&1"
