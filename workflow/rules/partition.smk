rule partition:
    input:
        script=script("partition"),
        event=f"{RESULTS}/events/{{event}}/event.json",
        listing=f"{JOB}/listing.csv",
        manifest=f"{JOB}/manifest.csv",
    output:
        partition=f"{JOB}/partition.csv",
    log:
        "logs/partition/{event}.{wavelength}.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700),
        runtime=growing(10),
    params:
        code=code("partition"),
        store=STORE,
        segment=CAMPAIGN.config.segment,
        folder=f"{RESULTS}/final_fits/{{event}}/{{wavelength}}",
    shell:
        "python {input.script:q} --event {input.event:q} --listing {input.listing:q}"
        " --manifest {input.manifest:q} --segment {params.segment:q} --store {params.store:q}"
        " --folder {params.folder:q} --partition {output.partition:q} > {log:q} 2>&1"
