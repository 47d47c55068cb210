rule label:
    input:
        script=script("label"),
        events=every_event,
        samples=every_job("sample.csv"),
        logs=every_job("sampling_log.csv"),
        splits=f"{RESULTS}/data_selection/splits.csv",
    output:
        images=f"{RESULTS}/data_selection/images.csv",
        labels=f"{RESULTS}/data_selection/image_labels.csv",
        labels_txt=f"{RESULTS}/data_selection/image_labels.txt",
    log:
        f"{RESULTS}/logs/label.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700, 1.6),
        runtime=growing(10, 0.01),
    params:
        code=code("label"),
        shares=SHARES,
        seed=CAMPAIGN.config.split_seed,
        store=STORE,
        folder=lambda wildcards, output: str(Path(output.images).parent),
    message:
        "label: the data set"
    shell:
        "python {input.script:q} --samples {input.samples:q} --splits {input.splits:q}"
        " --split-seed={params.seed:q} {params.shares} --store {params.store:q} --folder {params.folder:q}"
        " --terminal 3 3>&2 > {log:q} 2>&1"
