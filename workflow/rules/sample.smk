rule sample:
    input:
        script=script("sample"),
        event=f"{RESULTS}/events/{{event}}/event.json",
        listing=f"{JOB}/listing.csv",
        facts=f"{JOB}/page.json",
        records=f"{JOB}/records.csv",
        partition=f"{JOB}/partition.csv",
        manifest=f"{JOB}/manifest.csv",
    output:
        sample=f"{JOB}/sample.csv",
        sampling_log=f"{JOB}/sampling_log.csv",
        ledger=f"{RESULTS}/ledger/{{event}}.{{wavelength}}.csv",
        account=f"{JOB}/account.json",
    log:
        "logs/sample/{event}.{wavelength}.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700),
        runtime=growing(10),
    params:
        code=code("sample"),
        series=CAMPAIGN.config.series,
        segment=CAMPAIGN.config.segment,
        draw=flags(CAMPAIGN.config.draw),
    shell:
        'python {input.script:q} --job "$(dirname {input.listing:q})" --manifest {input.manifest:q}'
        " --series {params.series:q} --segment {params.segment:q} {params.draw:q}"
        " --sample {output.sample:q}"
        " --log {output.sampling_log:q} --ledger {output.ledger:q} --account {output.account:q}"
        " > {log:q} 2>&1"
