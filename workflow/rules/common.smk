"""What the rules share: the campaign, and how its pieces reach a script."""

import gc
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import RerunTrigger

# Snakemake keeps nearly all that it makes, millions of small objects in a large campaign: Python
# looks for garbage among them less often.
gc.set_threshold(50_000, 20, 20)

sys.path.insert(0, str(Path(workflow.snakefile).parents[2] / "scripts"))

from flareset.campaign.campaign import Campaign
from flareset.campaign.code import SCRIPTS
from flareset.campaign.run import begin
from flareset.errors import FlaresetError
from flareset.refusals import refuse
from flareset.sdo.times import duration_text, iso

try:
    CAMPAIGN = Campaign(config)
    refuse(CAMPAIGN.config, CAMPAIGN.events.values())
except FlaresetError as error:
    raise WorkflowError(str(error)) from None

code = CAMPAIGN.code
RESULTS = CAMPAIGN.config.results
STORE = CAMPAIGN.config.store
PAGES = CAMPAIGN.config.export_pages
SHARES = [f"--{name}={share}" for name, share in CAMPAIGN.config.splits.shares.items()]
JOB = f"{RESULTS}/events/{{event}}/{{wavelength}}"
JOBS = [f"{event}/{wavelength}" for event, wavelength in CAMPAIGN.jobs]

# In the environment, not in params: no job goes stale when they change. Every job on a cluster
# reads this file again and so sets them too.
os.environ.update(CAMPAIGN.environment())
if begin():
    for warning in CAMPAIGN.warnings:
        logger.warning(f"warning: {warning}")

# Snakemake writes its command line to its log, and the address may be on it.
MASKED = CAMPAIGN.without_address(sys.argv)
ADDRESS_TYPED = sys.argv != MASKED
sys.argv[:] = MASKED


wildcard_constraints:
    event="[A-Za-z0-9][A-Za-z0-9_.+-]*",
    stage="config|intake|list|plan|download|verify|release",
    digest="[0-9a-f]+",
    wavelength="[0-9]+",


def script(name):
    """A script, relative to the working directory: a moved project stays up to date."""
    return os.path.relpath(SCRIPTS / f"{name}.py")


def nothing_but_checks(wildcards):
    """Return no file. When Snakemake asks for inputs, it knows its triggers and its executor.

    With `rerun-triggers: mtime`, as people have it in their own profiles, a changed seed or row
    would leave the old data set as it is: all that makes a job stale is looked at. Raises
    WorkflowError where the address would stand in the script of every job.
    """
    if ADDRESS_TYPED and workflow.non_local_exec:
        raise WorkflowError(
            "archive.email on the command line would stand in the script of every job: leave it"
            " out, and set JSOC_EMAIL in the environment"
        )
    workflow.dag_settings.rerun_triggers = RerunTrigger.all()
    return []


def event_json(wildcards):
    """The event's row and the flares in its window, as one sorted text."""
    return CAMPAIGN.events[wildcards.event].to_json()


def saved_page(wildcards):
    """The saved export page of a job, or nothing where there is none."""
    page = CAMPAIGN.page(wildcards.event, int(wildcards.wavelength))
    return [str(page)] if page else []


def source(wildcards):
    """Where the listing of an event comes from."""
    return CAMPAIGN.rows[wildcards.event].source


def accept(wildcards):
    """The flag of a page that is taken as it is, or nothing."""
    return "--accept" if wildcards.event in CAMPAIGN.config.accept_pages else ""


def export_slot(wildcards):
    """1 where files come from an export that is asked for, 0 elsewhere."""
    return int(source(wildcards) == "export")


def minutes(waiting, work=10):
    """How long a job may take: that of the source `waiting` as long as an export is waited for."""

    def of_attempt(wildcards, attempt):
        wait = CAMPAIGN.longest_wait * (source(wildcards) == waiting)
        return work * attempt + wait

    return of_attempt


def event_records(wildcards):
    """The records of every channel of an event."""
    waves = CAMPAIGN.rows[wildcards.event].wavelengths
    return [f"{RESULTS}/events/{wildcards.event}/{wave}/records.csv" for wave in waves]


def growing(amount, of_each_job=0):
    """What a job may use, more with each attempt; what belongs to all events grows with them.

    The amounts are twice what benchmarks/resources.py measures, with the two Snakemakes of a job on
    a cluster (130 MB each).
    """

    def of_attempt(wildcards, attempt):
        return round((amount + of_each_job * len(JOBS)) * attempt)

    return of_attempt


def settings(stage):
    """The file with the settings of a stage: other settings are another file."""
    return f"{RESULTS}/settings/{CAMPAIGN.settings_file(stage)}"


def with_events():
    """Raise where events.csv is still to be made by `snakemake intake`."""
    try:
        CAMPAIGN.check_events()
    except FlaresetError as error:
        raise WorkflowError(str(error)) from None


def configured(key, value):
    """Return an input that is no file; it raises WorkflowError where the key has no value."""

    def nothing(wildcards):
        if not value:
            raise WorkflowError(f"the config has no {key}: config/README.md says what is needed")
        return []

    return nothing


def jobs(wildcards):
    """Every job, as <event_id>/<wavelength>."""
    with_events()
    return JOBS


def every_event(wildcards):
    """The event.json of every event."""
    with_events()
    return [f"{RESULTS}/events/{event}/event.json" for event in CAMPAIGN.events]


def every_job(*names):
    """Files of every event and wavelength, named when a job asks: a job on a cluster does not."""

    def of_target(wildcards):
        return [f"{RESULTS}/events/{job}/{name}" for name in names for job in jobs(wildcards)]

    return of_target


def every_ledger(wildcards):
    """The ledger of every event and wavelength."""
    return [f"{RESULTS}/ledger/{event}.{wave}.csv" for event, wave in CAMPAIGN.jobs]


def gaps(*outputs):
    """Those of the outputs that are not there, though something that comes of them may be.

    Snakemake does not miss a file in the middle while its consumers are up to date: a stage that
    failed after a change would be forgotten by the next run. What was never begun is no gap.
    """

    def of_target(wildcards):
        jobs = CAMPAIGN.jobs
        if not os.path.exists(f"{RESULTS}/data_selection/images.csv"):
            jobs = [job for job in jobs if os.path.isdir(f"{RESULTS}/events/{job[0]}/{job[1]}")]
        columns = {"event": [e for e, _ in jobs], "wavelength": [w for _, w in jobs]}
        files = dict.fromkeys(expand(outputs, zip, **columns))
        return [file for file in files if not os.path.exists(file)]

    return of_target


def listable(wildcards):
    """The jobs of the events of which no saved page is missing, each behind its source."""
    missing = {event for event, _ in CAMPAIGN.without_page}
    return [
        f"{CAMPAIGN.rows[event].source}/{event}/{wavelength}"
        for event, wavelength in CAMPAIGN.jobs
        if event not in missing
    ]


def without_page(wildcards):
    """The jobs whose saved page is missing."""
    return [f"{event}/{wave}" for event, wave in CAMPAIGN.without_page]
