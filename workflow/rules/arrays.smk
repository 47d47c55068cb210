# Asked for by name.
rule arrays:
    input:
        configured("arrays.steps", CAMPAIGN.config.arrays.steps),
        script=script("arrays"),
        tables=every_job("arrays.csv"),
        settings=settings("arrays"),
        response=response_table,
        pointing=pointing_table,
    output:
        csv=f"{RESULTS}/arrays/arrays.csv",
        json=f"{RESULTS}/arrays/arrays.json",
    log:
        f"{RESULTS}/logs/arrays.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        tables=table_flags,
    message:
        "arrays: the table of all arrays"
    shell:
        "python {input.script:q} --tables {input.tables:q} --settings {input.settings:q}"
        " {params.tables:q} --arrays {output.csv:q} --json {output.json:q} --terminal 3 3>&2 > {log:q} 2>&1"


rule calibrate:
    input:
        script=script("calibrate"),
        event=f"{RESULTS}/events/{{event}}/event.json",
        sample=f"{JOB}/sample.csv",
        settings=settings("arrays"),
        response=response_table,
        pointing=pointing_table,
    output:
        folder=directory(f"{RESULTS}/arrays/{{event}}/{{wavelength}}"),
        table=f"{JOB}/arrays.csv",
    log:
        f"{RESULTS}/logs/calibrate/{{event}}.{{wavelength}}.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        # aiapy takes 1.1 GB for a frame.
        mem_mb=growing(2500 if CAMPAIGN.config.arrays.register_by == "aiapy" else 1500),
        runtime=growing(60),
    params:
        code=code("calibrate"),
        store=STORE,
        tables=table_flags,
    message:
        "calibrate {wildcards.event} {wildcards.wavelength}: an array per image"
    shell:
        "python {input.script:q} --event {input.event:q} --sample {input.sample:q}"
        " --store {params.store:q} --settings {input.settings:q} {params.tables:q}"
        " --folder {output.folder:q} --arrays {output.table:q} --terminal 3 3>&2 > {log:q} 2>&1"
