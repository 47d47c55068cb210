# The split depends only on the rows, so it does not wait for images.
rule split:
    input:
        script=script("split"),
        events=every_event,
        freeze=[CAMPAIGN.config.splits.freeze] if CAMPAIGN.config.splits.freeze else [],
    output:
        splits=f"{RESULTS}/data_selection/splits.csv",
    log:
        f"{RESULTS}/logs/split.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        code=code("split"),
        shares=SHARES,
        seed=CAMPAIGN.config.split_seed,
        method=CAMPAIGN.config.splits.method,
        buffer=duration_text(CAMPAIGN.config.splits.buffer),
        group_by=CAMPAIGN.config.splits.group_by,
        stratify=CAMPAIGN.config.splits.stratify,
        boundaries=[iso(time) for time in CAMPAIGN.config.splits.boundaries],
        folds=CAMPAIGN.config.splits.folds,
    message:
        "split: events for training, validation and test"
    shell:
        "python {input.script:q} --events {input.events:q} --method {params.method} {params.shares}"
        " --buffer {params.buffer} --group-by {params.group_by:q} --stratify={params.stratify:q}"
        " --seed={params.seed:q} --freeze={input.freeze:q} --boundaries {params.boundaries:q}"
        " --folds {params.folds} --splits {output.splits:q} --terminal 3 3>&2 > {log:q} 2>&1"
