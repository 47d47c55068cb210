# Makes the page that shows the campaign. In a large campaign, the pages of single flares are no
# outputs: their number depends on the events. The script also reads ledgers and events. They are no
# inputs, since each change of them changes summary.csv or images.csv too.
rule report_page:
    input:
        script=script("report_page"),
        templates=templates("report"),
        config=settings("config"),
        summary=f"{RESULTS}/summary.csv",
        about=[
            f"{RESULTS}/data_selection/{name}"
            for name in ("images.csv", "leaks.csv", "splits.csv", "audit.json")
        ],
        flares=CAMPAIGN.config.flares or [],
        goes=CAMPAIGN.config.report_page.goes,
    output:
        page=report(
            f"{RESULTS}/report/index.html",
            category="Campaign",
            labels={"what": "the page of the campaign"},
            caption="../report/report_page.rst",
        ),
    log:
        f"{RESULTS}/logs/report_page.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(700, 0.2),
        runtime=growing(10, 0.2),
    params:
        code=code("report_page"),
        results=lambda wildcards, input: str(Path(input.summary).parent),
        images=CAMPAIGN.config.report_page.images,
        one_page=CAMPAIGN.config.report_page.one_page,
    message:
        "report_page: the campaign to look at"
    shell:
        "python {input.script:q} --results {params.results:q} --config {input.config:q}"
        " --flares={input.flares:q} --goes {input.goes:q} --images {params.images} --one-page {params.one_page}"
        " --page {output.page:q} --terminal 3 3>&2 > {log:q} 2>&1"
