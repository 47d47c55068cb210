# Makes events.csv from flare lists and queries. The table is not an output, since Snakemake would delete it before
# the job: so a table that somebody has edited stays.
rule intake:
    input:
        script=script("intake"),
        settings=settings("intake"),
    log:
        f"{RESULTS}/logs/intake.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        events=CAMPAIGN.config.events,
        store=STORE,
        refresh="--refresh" if CAMPAIGN.config.refresh else "",
    message:
        "intake: events from flare lists and queries"
    shell:
        "python {input.script:q} --settings {input.settings:q} --store {params.store:q}"
        " --events {params.events:q} {params.refresh}"
        " 2>&1 | tee {log:q}"
