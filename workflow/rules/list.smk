rule event:
    output:
        f"{RESULTS}/events/{{event}}/event.json",
    log:
        "logs/event/{event}.log",
    localrule: True
    conda:
        "../../envs/flareset.yaml"
    params:
        event=event_json,
    shell:
        "printf '%s\\n' {params.event:q} > {output:q} 2> {log:q}"


rule list:
    input:
        script=sources("list")[0],
        code=sources("list")[1:],
        event=f"{RESULTS}/events/{{event}}/event.json",
        page=saved_page,
    output:
        listing=f"{JOB}/listing.csv",
        facts=f"{JOB}/page.json",
    log:
        "logs/list/{event}.{wavelength}.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=500,
        runtime=10,
    params:
        pages=PAGES,
        settings=settings("list"),
    shell:
        "python {input.script:q} --event {input.event:q} --wavelength {wildcards.wavelength}"
        " --page {input.page:q} --pages {params.pages:q} --settings {params.settings:q}"
        ' --archive "$FLARESET_ARCHIVE"'
        " --listing {output.listing:q} --facts {output.facts:q} > {log:q} 2>&1"
