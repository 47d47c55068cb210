rule event:
    input:
        nothing_but_checks,
    output:
        f"{RESULTS}/events/{{event}}/event.json",
    log:
        f"{RESULTS}/logs/event/{{event}}.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        event=event_json,
    message:
        "event {wildcards.event}: its row, and the flares in its window"
    shell:
        "printf '%s\\n' {params.event:q} > {output:q} 2> >(tee {log:q} >&2 2> /dev/null)"


rule settings:
    output:
        f"{RESULTS}/settings/{{stage}}.{{digest}}.json",
    log:
        f"{RESULTS}/logs/settings/{{stage}}.{{digest}}.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        settings=lambda wildcards: CAMPAIGN.settings(wildcards.stage),
    message:
        "settings of {wildcards.stage}"
    shell:
        "printf '%s\\n' {params.settings:q} > {output:q} 2> >(tee {log:q} >&2 2> /dev/null)"


rule list:
    input:
        script=script("list"),
        event=f"{RESULTS}/events/{{event}}/event.json",
        page=saved_page,
        settings=settings("list"),
    output:
        records=f"{JOB}/records.csv",
        listing=f"{JOB}/listing.csv",
        facts=f"{JOB}/export.json",
    log:
        f"{RESULTS}/logs/list/{{event}}.{{wavelength}}.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(800),
        runtime=minutes("request_id"),
    params:
        code=code("list"),
        pages=PAGES,
        store=STORE,
        source=source,
        accept=accept,
    message:
        "list {wildcards.event} {wildcards.wavelength}: what the archive has"
    shell:
        "python {input.script:q} --event {input.event:q} --wavelength {wildcards.wavelength}"
        " --source {params.source} --page {input.page:q} {params.accept} --pages {params.pages:q}"
        " --store {params.store:q} --settings {input.settings:q} --records {output.records:q}"
        " --listing {output.listing:q} --facts {output.facts:q} --terminal 3 3>&2 > {log:q} 2>&1"
