rule partition:
    input:
        script=script("partition"),
        candidates=f"{RESULTS}/events/{{event}}/candidates.csv",
        manifest=f"{JOB}/manifest.csv",
    output:
        partition=f"{JOB}/partition.csv",
    log:
        f"{RESULTS}/logs/partition/{{event}}.{{wavelength}}.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700),
        runtime=growing(10),
    params:
        code=code("partition"),
        store=STORE,
        folder=f"{RESULTS}/final_fits/{{event}}/{{wavelength}}",
    message:
        "partition {wildcards.event} {wildcards.wavelength}: before, in and after the flare"
    shell:
        "python {input.script:q} --candidates {input.candidates:q} --wavelength {wildcards.wavelength}"
        " --manifest {input.manifest:q} --store {params.store:q} --folder {params.folder:q}"
        " --partition {output.partition:q} > {log:q} 2>&1"
