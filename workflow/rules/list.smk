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
        script=script("list"),
        event=f"{RESULTS}/events/{{event}}/event.json",
        page=saved_page,
    output:
        listing=f"{JOB}/listing.csv",
        records=f"{JOB}/records.csv",
        facts=f"{JOB}/page.json",
    log:
        "logs/list/{event}.{wavelength}.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        # One export is pending at a time; a saved page waits for nobody.
        jsoc_export=export_slot,
        mem_mb=growing(800),
        runtime=export_minutes,
    params:
        code=code("list"),
        pages=PAGES,
        store=STORE,
        settings=settings("list"),
    shell:
        "python {input.script:q} --event {input.event:q} --wavelength {wildcards.wavelength}"
        " --page {input.page:q} --pages {params.pages:q} --store {params.store:q}"
        ' --settings {params.settings:q} --archive "$FLARESET_ARCHIVE"'
        " --listing {output.listing:q} --records {output.records:q} --facts {output.facts:q}"
        " --terminal 3 3>&2 > {log:q} 2>&1"
