rule sample:
    input:
        script=script("sample"),
        event=f"{RESULTS}/events/{{event}}/event.json",
        records=f"{JOB}/records.csv",
        listing=f"{JOB}/listing.csv",
        facts=f"{JOB}/export.json",
        candidates=f"{RESULTS}/events/{{event}}/candidates.csv",
        partition=f"{JOB}/partition.csv",
        manifest=f"{JOB}/manifest.csv",
    output:
        sample=f"{JOB}/sample.csv",
        sampling_log=f"{JOB}/sampling_log.csv",
        ledger=f"{RESULTS}/ledger/{{event}}.{{wavelength}}.csv",
        account=f"{JOB}/account.json",
    log:
        f"{RESULTS}/logs/sample/{{event}}.{{wavelength}}.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700),
        runtime=growing(10),
    params:
        code=code("sample"),
        series=CAMPAIGN.config.series,
        segment=CAMPAIGN.config.segment,
        quotas=[
            f"--{key.replace('_', '-')}={count}"
            for key, count in CAMPAIGN.config.sample.quotas.items()
        ],
    message:
        "sample {wildcards.event} {wildcards.wavelength}: what was drawn at last"
    shell:
        'python {input.script:q} --job "$(dirname {input.records:q})" --manifest {input.manifest:q}'
        " --series {params.series:q} --segment {params.segment:q} {params.quotas}"
        " --sample {output.sample:q} --log {output.sampling_log:q} --ledger {output.ledger:q}"
        " --account {output.account:q} --terminal 3 3>&2"
        " > {log:q} 2>&1"
