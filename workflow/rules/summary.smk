rule summary:
    input:
        script=sources("summary")[0],
        code=sources("summary")[1:],
        accounts=every_job("account.json"),
        ledgers=[
            f"{RESULTS}/ledger/{event}.{wavelength}.csv" for event, wavelength in CAMPAIGN.jobs
        ],
        data=rules.label.output,
    output:
        csv=report(
            f"{RESULTS}/summary.csv",
            category="Campaign",
            caption="../report/summary.rst",
        ),
        markdown=f"{RESULTS}/summary.md",
        provenance=f"{RESULTS}/provenance.json",
    log:
        "logs/summary.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=500,
        runtime=10,
    params:
        results=lambda wildcards, output: str(Path(output.csv).parent),
        config=lambda wildcards: CAMPAIGN.public_config,
    shell:
        "python {input.script:q} --accounts {input.accounts:q} --config {params.config:q}"
        " --results {params.results:q} --outputs {input.data:q} --csv {output.csv:q}"
        " --markdown {output.markdown:q} --provenance {output.provenance:q} > {log:q} 2>&1"
