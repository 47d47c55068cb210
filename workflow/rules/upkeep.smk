# Targets that run only by their name, and whenever they are called. `plan` looks up and draws by itself, from
# answers that the store keeps, so that an event that cannot be listed stops no other.
rule plan:
    input:
        script=script("plan"),
        events=every_event,
        settings=settings("plan"),
    log:
        f"{RESULTS}/logs/plan.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        code=code("plan"),
        folder=lambda wildcards, input: str(Path(input.events[0]).parents[1]),
        store=STORE,
        pages=PAGES,
        look_up=listable,
        missing=without_page,
        accept=CAMPAIGN.config.accept_pages,
        table=f"{RESULTS}/plan.csv",
    message:
        "plan: what would be asked for and fetched"
    shell:
        "python {input.script:q} --look-up {params.look_up:q} --accept {params.accept:q}"
        " --missing {params.missing:q} --events {params.folder:q} --pages {params.pages:q} --store {params.store:q}"
        " --settings {input.settings:q} --table {params.table:q} --terminal 3 3>&2 > {log:q} 2>&1"


rule verify:
    input:
        script=script("verify"),
        settings=settings("verify"),
    log:
        f"{RESULTS}/logs/verify.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        store=STORE,
        results=lambda wildcards, input: str(Path(input.settings).parents[1]),
        jobs=jobs,
    message:
        "verify: every file against its sha256"
    shell:
        "python {input.script:q} --results {params.results:q} --jobs {params.jobs:q}"
        " --store {params.store:q} --settings {input.settings:q} --list {log:q}"


rule repair:
    input:
        script=script("verify"),
        settings=settings("verify"),
    log:
        f"{RESULTS}/logs/repair.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        store=STORE,
        results=lambda wildcards, input: str(Path(input.settings).parents[1]),
        jobs=jobs,
    message:
        "repair: what is damaged is fetched again"
    shell:
        "python {input.script:q} --results {params.results:q} --jobs {params.jobs:q}"
        " --store {params.store:q} --settings {input.settings:q} --list {log:q} --repair"


rule clean_unused:
    input:
        script=script("clean_unused"),
    log:
        f"{RESULTS}/logs/clean_unused.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        store=STORE,
        results=RESULTS,
        jobs=jobs,
        option="--remove" if CAMPAIGN.config.clean == "remove" else "",
    message:
        "clean_unused: what no event needs"
    shell:
        "python {input.script:q} --results {params.results:q} --jobs {params.jobs:q} --store {params.store:q}"
        " --list {log:q} {params.option}"


# Fetches the tables of calibration that `arrays` needs. They are no outputs, since Snakemake would delete them before
# the job: a table that somebody gave stays.
rule fetch_tables:
    input:
        configured("arrays.tables.response or pointing", calibration_tables()),
        script=script("fetch_tables"),
        events=every_event,
        settings=settings("list"),
        arrays=settings("arrays"),
    log:
        f"{RESULTS}/logs/fetch_tables.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        store=STORE,
        refresh="--refresh" if CAMPAIGN.config.refresh else "",
    message:
        "fetch_tables: AIA's tables of calibration"
    shell:
        "python {input.script:q} --events {input.events:q} --settings {input.settings:q} --arrays {input.arrays:q}"
        " --store {params.store:q} {params.refresh} 2>&1 | tee {log:q}"


# Checks in a minute, with one image, that the archive behaves as the workflow relies on.
rule check_archive:
    input:
        script=script("check_archive"),
        event=lambda wildcards: every_event(wildcards)[0],
        settings=settings("list"),
    log:
        f"{RESULTS}/logs/check_archive.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        wavelength=lambda wildcards: CAMPAIGN.jobs[0][1],
    message:
        "check_archive: is the archive as expected?"
    shell:
        "python {input.script:q} --event {input.event:q} --wavelength {params.wavelength}"
        " --settings {input.settings:q} --report {log:q}"
