"""From a list of solar flares to a verified, labelled set of SDO images: the map."""

from snakemake.utils import min_version

min_version("9.20")


report: "workflow/report/campaign.rst"


# Users may run from anywhere (--directory, --configfile); config/README.md has the defaults.
if Path("config/config.yaml").exists():

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/intake.smk"
include: "workflow/rules/list.smk"
include: "workflow/rules/draw.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/partition.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/split.smk"
include: "workflow/rules/label.smk"
include: "workflow/rules/leaks.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/arrays.smk"
include: "workflow/rules/release.smk"
include: "workflow/rules/report_page.smk"
include: "workflow/rules/upkeep.smk"


rule all:
    default_target: True
    input:
        rules.split.output,
        rules.label.output,
        rules.leaks.output,
        rules.audit.output,
        rules.summary.output,
        rules.report_page.output if CAMPAIGN.config.report_page.make else [],
        gaps(
            *rules.event.output,
            *rules.list.output,
            *rules.draw.output,
            *rules.download.output,
            *rules.partition.output,
            *rules.sample.output,
        ),
    localrule: True
