# A target that runs only by its name. Folder and sum are no outputs, since Snakemake would delete those of a published
# version, even when another is refused.
rule release:
    input:
        configured("release.name", CAMPAIGN.config.release.name),
        script=script("release"),
        settings=settings("release"),
        data=[
            f"{RESULTS}/data_selection/{name}"
            for name in ("images.csv", "splits.csv", "leaks.csv", "audit.json")
        ],
        ledgers=every_ledger,
        arrays=rules.arrays.output.csv if CAMPAIGN.config.release.images == "arrays" else [],
        provenance=f"{RESULTS}/provenance.json",
    output:
        packed=touch(f"{RESULTS}/release/.{CAMPAIGN.config.release.folder}.packed"),
    log:
        f"{RESULTS}/logs/release.log",
    conda:
        "../../envs/flareset.yaml"
    resources:
        mem_mb=growing(2000, 1),
        runtime=growing(60, 1),
    params:
        code=code("release"),
        data=lambda wildcards, input: str(Path(input.data[0]).parent),
        arrays=lambda wildcards, input: ["--arrays", input.arrays] if input.arrays else [],
        folder=lambda wildcards, output: str(Path(output.packed).parent),
        sum=f"{RESULTS}/release/{CAMPAIGN.config.release.folder}.sha256",
    message:
        "release: the set packed for others"
    shell:
        "python {input.script:q} --data {params.data:q} --ledgers {input.ledgers:q}"
        " --provenance {input.provenance:q} --settings {input.settings:q} {params.arrays:q}"
        " --folder {params.folder:q} --sum {params.sum:q} --terminal 3 3>&2 > {log:q} 2>&1"
