# One job draws all channels of an event, so that they show the same moments.
rule draw:
    input:
        script=script("draw"),
        event=f"{RESULTS}/events/{{event}}/event.json",
        records=event_records,
    output:
        candidates=f"{RESULTS}/events/{{event}}/candidates.csv",
    log:
        f"{RESULTS}/logs/draw/{{event}}.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700),
        runtime=growing(10),
    params:
        code=code("draw"),
        seed=CAMPAIGN.config.sample.seed,
        channels=CAMPAIGN.config.sample.channels,
        quality=CAMPAIGN.config.quality.model_dump_json(),
        other_flares=CAMPAIGN.config.other_flares,
        exposure=CAMPAIGN.config.sample.exposure,
        guard=duration_text(CAMPAIGN.config.window.guard),
    message:
        "draw {wildcards.event}: which images, in a seeded order"
    shell:
        "python {input.script:q} --event {input.event:q} --records {input.records:q}"
        " --seed={params.seed:q} --channels {params.channels} --quality {params.quality:q}"
        " --other-flares {params.other_flares} --exposure {params.exposure} --guard {params.guard}"
        " --candidates {output.candidates:q} > {log:q} 2>&1"
