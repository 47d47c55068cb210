"""A campaign's jobs with their files and logs, and nothing else: what Snakemake needs for itself.

The config says how large it is: flares: 590, wavelengths: 7.
"""


configfile: "config/config.yaml"


EVENTS = [f"2010-05-01T{number:06}" for number in range(config["flares"])]
WAVELENGTHS = range(config["wavelengths"])
EVENT = "results/events/{event}/event.json"
JOB = "results/events/{event}/{wavelength}"
LEDGER = "results/ledger/{event}.{wavelength}.csv"


def every(pattern):
    return expand(pattern, event=EVENTS, wavelength=WAVELENGTHS)


rule all:
    default_target: True
    input:
        "results/images.csv",
        "results/summary.csv",
        every(f"{JOB}/partition.csv"),


rule event:
    output:
        EVENT,
    log:
        "logs/event/{event}.log",
    shell:
        "touch {output}"


rule list:
    input:
        EVENT,
    output:
        f"{JOB}/listing.csv",
        f"{JOB}/records.csv",
        f"{JOB}/page.json",
    log:
        "logs/list/{event}.{wavelength}.log",
    shell:
        "touch {output}"


rule download:
    input:
        EVENT,
        f"{JOB}/listing.csv",
        f"{JOB}/page.json",
        f"{JOB}/records.csv",
    output:
        f"{JOB}/manifest.csv",
    log:
        "logs/download/{event}.{wavelength}.log",
    benchmark:
        "logs/download/{event}.{wavelength}.benchmark.tsv"
    shell:
        "touch {output}"


rule partition:
    input:
        EVENT,
        f"{JOB}/listing.csv",
        f"{JOB}/manifest.csv",
    output:
        f"{JOB}/partition.csv",
    log:
        "logs/partition/{event}.{wavelength}.log",
    shell:
        "touch {output}"


rule sample:
    input:
        EVENT,
        f"{JOB}/listing.csv",
        f"{JOB}/page.json",
        f"{JOB}/records.csv",
        f"{JOB}/partition.csv",
        f"{JOB}/manifest.csv",
    output:
        f"{JOB}/sample.csv",
        f"{JOB}/sampling_log.csv",
        LEDGER,
        f"{JOB}/account.json",
    log:
        "logs/sample/{event}.{wavelength}.log",
    shell:
        "touch {output}"


rule label:
    input:
        expand(EVENT, event=EVENTS),
        every(f"{JOB}/sample.csv"),
        every(f"{JOB}/sampling_log.csv"),
    output:
        "results/images.csv",
        "results/image_labels.csv",
        "results/image_labels.txt",
    log:
        "logs/label.log",
    shell:
        "touch {output}"


rule summary:
    input:
        every(f"{JOB}/account.json"),
        every(LEDGER),
        "results/images.csv",
        "results/image_labels.csv",
        "results/image_labels.txt",
    output:
        "results/summary.csv",
        "results/summary.md",
        "results/provenance.json",
    log:
        "logs/summary.log",
    shell:
        "touch {output}"
