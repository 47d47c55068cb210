# Targets that are asked for by name; each looks anew whenever it is called.
rule plan:
    input:
        script=sources("plan")[0],
        code=sources("plan")[1:],
        events=expand(f"{RESULTS}/events/{{event}}/event.json", event=CAMPAIGN.events),
        facts=every_job("page.json"),
        listings=every_job("listing.csv"),
    log:
        "logs/plan.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        settings=settings("plan"),
    shell:
        "{PYTHON:q} {input.script:q} --listings {input.listings:q} --store {STORE:q}"
        " --settings {params.settings:q} 2>&1 | tee {log:q}"


rule verify:
    input:
        script=sources("verify")[0],
    log:
        "logs/verify.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        settings=settings("verify"),
    shell:
        "{PYTHON:q} {input.script:q} --results {RESULTS:q} --jobs {JOBS:q} --store {STORE:q}"
        " --settings {params.settings:q} --archive {ARCHIVE:q} 2>&1 | tee {log:q}"


rule repair:
    input:
        script=sources("verify")[0],
    log:
        "logs/repair.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        settings=settings("verify"),
    shell:
        "{PYTHON:q} {input.script:q} --results {RESULTS:q} --jobs {JOBS:q} --store {STORE:q}"
        " --settings {params.settings:q} --archive {ARCHIVE:q} --repair 2>&1 | tee {log:q}"


rule clean_unused:
    input:
        script=sources("clean_unused")[0],
    log:
        "logs/clean_unused.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        option="--remove" if CAMPAIGN.config["clean"] == "remove" else "",
    shell:
        "{PYTHON:q} {input.script:q} --results {RESULTS:q} --jobs {JOBS:q} --store {STORE:q}"
        " {params.option} 2>&1 | tee {log:q}"
