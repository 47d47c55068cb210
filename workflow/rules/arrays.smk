# Asked for by name.
rule arrays:
    input:
        configured("arrays.steps", CAMPAIGN.config.arrays.steps),
        script=script("arrays"),
        tables=every_job("arrays.csv"),
        settings=settings("arrays"),
        response=response_table,
    output:
        csv=f"{RESULTS}/arrays/arrays.csv",
        json=f"{RESULTS}/arrays/arrays.json",
    log:
        f"{RESULTS}/logs/arrays.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        response=lambda wildcards, input: ["--response", *input.response] if input.response else [],
    shell:
        "python {input.script:q} --tables {input.tables:q} --settings {input.settings:q}"
        " {params.response:q} --arrays {output.csv:q} --json {output.json:q} > {log:q} 2>&1"


rule calibrate:
    input:
        script=script("calibrate"),
        event=f"{RESULTS}/events/{{event}}/event.json",
        sample=f"{JOB}/sample.csv",
        settings=settings("arrays"),
        response=response_table,
    output:
        folder=directory(f"{RESULTS}/arrays/{{event}}/{{wavelength}}"),
        table=f"{JOB}/arrays.csv",
    log:
        f"{RESULTS}/logs/calibrate/{{event}}.{{wavelength}}.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(1500),
        runtime=growing(60),
    params:
        code=code("calibrate"),
        store=STORE,
        response=lambda wildcards, input: ["--response", *input.response] if input.response else [],
    shell:
        "python {input.script:q} --event {input.event:q} --sample {input.sample:q}"
        " --store {params.store:q} --settings {input.settings:q} {params.response:q}"
        " --folder {output.folder:q} --arrays {output.table:q} > {log:q} 2>&1"
