# The images are not outputs, since Snakemake deletes the outputs of a job that fails.
rule download:
    input:
        script=script("download"),
        event=f"{RESULTS}/events/{{event}}/event.json",
        records=f"{JOB}/records.csv",
        listing=f"{JOB}/listing.csv",
        facts=f"{JOB}/export.json",
        candidates=f"{RESULTS}/events/{{event}}/candidates.csv",
        settings=settings("download"),
    output:
        manifest=f"{JOB}/manifest.csv",
    log:
        f"{RESULTS}/logs/download/{{event}}.{{wavelength}}.log",
    benchmark:
        f"{RESULTS}/logs/download/{{event}}.{{wavelength}}.benchmark.tsv"
    conda:
        "../../envs/flareset.yaml"
    resources:
        # Only one job downloads from JSOC at a time, over archive.connections connections.
        jsoc_download=download_slot,
        # Only one export is pending at a time.
        jsoc_export=export_slot,
        mem_mb=growing(800),
        runtime=minutes("export", 240),
    params:
        code=code("download"),
        store=STORE,
        ledger=f"{RESULTS}/ledger/{{event}}.{{wavelength}}.csv",
    message:
        "download {wildcards.event} {wildcards.wavelength}: what the draw needs, verified"
    shell:
        'python {input.script:q} --job "$(dirname {input.records:q})" --store {params.store:q}'
        " --settings {input.settings:q} --manifest {output.manifest:q} --ledger {params.ledger:q}"
        " --terminal 3 3>&2 > {log:q} 2>&1"
