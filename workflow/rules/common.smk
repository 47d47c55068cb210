"""The parts that the rules share: the campaign, and functions for inputs and params."""

import gc
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import RerunTrigger

# In a large campaign Snakemake makes millions of small objects and keeps nearly all of them, so
# Python should look for garbage less often.
gc.set_threshold(50_000, 20, 20)

sys.path.insert(0, str(Path(workflow.snakefile).parents[2] / "scripts"))

from flareset.arrays.aiapy import refuse_without_aiapy
from flareset.campaign.campaign import Campaign
from flareset.campaign.code import SCRIPTS
from flareset.campaign.run import begin
from flareset.campaign.terminal import Quiet, Watch
from flareset.errors import FlaresetError
from flareset.refusals import misread_in_job_scripts, refuse
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

# These are in the environment, not in params, so that no job becomes stale when they change. Every
# job on a cluster reads this file again, and so sets them again.
os.environ.update(CAMPAIGN.environment())
BEGINS = begin()
if BEGINS:
    for warning in CAMPAIGN.warnings:
        logger.warning(f"warning: {warning}")

# What Snakemake says of each job is in its log. With -p or --verbose it is on the terminal, too, and
# where another workflow uses this one as a module: the terminal is that workflow's.
WATCH = Watch()
logger.addHandler(WATCH)
SHOWN = workflow.output_settings
IS_MODULE = not SCRIPTS.parent.samefile(workflow.basedir)
if BEGINS and not (SHOWN.verbose or SHOWN.printshellcmds or IS_MODULE):
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(Quiet(dry=SHOWN.dryrun, say=logger.info))


onerror:
    for line in WATCH.lines():
        logger.error(line)


# Snakemake writes its command line to its log, and the e-mail address may be on it.
MASKED = CAMPAIGN.without_address(sys.argv)
ADDRESS_TYPED = sys.argv != MASKED
sys.argv[:] = MASKED


wildcard_constraints:
    event="[A-Za-z0-9][A-Za-z0-9_.+-]*",
    stage="config|intake|list|plan|download|verify|arrays|release",
    digest="[0-9a-f]+",
    wavelength="[0-9]+",


def script(name):
    """Return a script's path relative to the working folder: a moved project stays up to date."""
    return os.path.relpath(SCRIPTS / f"{name}.py")


def templates(room):
    """The templates and the style of a page, which lie beside the modules that fill them."""
    folder = SCRIPTS / "flareset" / room
    return sorted(
        os.path.relpath(path) for path in folder.iterdir() if path.suffix in (".html", ".css")
    )


def nothing_but_checks(wildcards):
    """Return no file, but check Snakemake's own settings, which are known only by now.

    All rerun triggers are switched on. With `rerun-triggers: mtime`, which users may have in their
    own profiles, a changed seed or row would leave the old data set as it is. Raises WorkflowError
    if the script of every job would have the e-mail address, or a path that its shell changes.
    """
    problems = []
    if workflow.non_local_exec:
        paths = {"results": RESULTS, "export_pages": PAGES, "the scripts": script("list")}
        problems = [*misread_in_job_scripts(paths)]
        if ADDRESS_TYPED:
            problems.append(
                "archive.email on the command line would be in the script of every job: leave it"
                " out, and set JSOC_EMAIL in the environment"
            )
    if problems:
        raise WorkflowError("\n".join(problems))
    workflow.dag_settings.rerun_triggers = RerunTrigger.all()
    return []


def event_json(wildcards):
    """Return the event's row and the flares in its window, as sorted JSON."""
    return CAMPAIGN.events[wildcards.event].to_json()


def saved_page(wildcards):
    """Return the saved export page of a job, or no file if there is none."""
    page = CAMPAIGN.page(wildcards.event, int(wildcards.wavelength))
    return [str(page)] if page else []


def source(wildcards):
    """Return the source of an event's files."""
    return CAMPAIGN.rows[wildcards.event].source


def accept(wildcards):
    """Return the flag for a page that is accepted as it is, or nothing."""
    return "--accept" if wildcards.event in CAMPAIGN.config.accept_pages else ""


def download_slot(wildcards):
    """Return 0 in a rehearsal, in which each job has an archive of its own, else 1."""
    return int(not CAMPAIGN.config.archive.rehearses)


def export_slot(wildcards):
    """Return 1 if files come from an export that the job asks for, else 0."""
    return int(source(wildcards) == "export")


def minutes(waiting, work=10):
    """Return how long a job may take. Jobs of the source `waiting` may wait for an export."""

    def of_attempt(wildcards, attempt):
        wait = CAMPAIGN.longest_wait * (source(wildcards) == waiting)
        return work * attempt + wait

    return of_attempt


def event_records(wildcards):
    """Return the records of every channel of an event."""
    waves = CAMPAIGN.rows[wildcards.event].wavelengths
    return [f"{RESULTS}/events/{wildcards.event}/{wave}/records.csv" for wave in waves]


def growing(amount, of_each_job=0):
    """Return how much of a resource a job may use, more with each attempt.

    `of_each_job` is added for each event and channel, in a job for all of them. The amounts are
    twice what benchmarks/resources.py measures. They include the two Snakemakes of a job on a
    cluster (130 MB each).
    """

    def of_attempt(wildcards, attempt):
        return round((amount + of_each_job * len(JOBS)) * attempt)

    return of_attempt


def settings(stage):
    """Return the file with a stage's settings. Its name changes with the settings."""
    return f"{RESULTS}/settings/{CAMPAIGN.settings_file(stage)}"


def with_events():
    """Raise WorkflowError if `snakemake intake` has still to make events.csv."""
    try:
        CAMPAIGN.check_events()
    except FlaresetError as error:
        raise WorkflowError(str(error)) from None


def configured(key, value):
    """Return an input function that gives no file, and raises WorkflowError without a value."""

    def nothing(wildcards):
        if not value:
            raise WorkflowError(f"the config has no {key}: config/README.md says what is needed")
        return []

    return nothing


def calibration_tables():
    """Return the tables of calibration that the config names, by their key."""
    tables = CAMPAIGN.config.arrays.tables
    named = {"response": tables.response, "pointing": tables.pointing}
    return {key: str(path) for key, path in named.items() if path}


def table_of(key):
    """Return a table of calibration. Raises WorkflowError if it is not there."""
    path = calibration_tables()[key]
    if not os.path.exists(path):
        raise WorkflowError(
            f"arrays.tables.{key}: {path} is not there: `snakemake fetch_tables` fetches it"
        )
    return [path]


def response_table(wildcards):
    """Return the table of responses if one of the steps needs it."""
    return table_of("response") if "degradation" in CAMPAIGN.config.arrays.steps else []


def pointing_table(wildcards):
    """Return the table of pointings if aiapy registers. Raises WorkflowError without aiapy."""
    if CAMPAIGN.config.arrays.register_by != "aiapy":
        return []
    try:
        refuse_without_aiapy()
    except FlaresetError as error:
        raise WorkflowError(str(error)) from None
    return table_of("pointing")


def table_flags(wildcards, input):
    """Return the flags for those tables of calibration that are inputs."""
    tables = {"--response": input.response, "--pointing": input.pointing}
    return [word for flag, table in tables.items() if table for word in (flag, *table)]


def jobs(wildcards):
    """Return every job, as <event_id>/<wavelength>."""
    with_events()
    return JOBS


def every_event(wildcards):
    """Return the event.json of every event."""
    with_events()
    return [f"{RESULTS}/events/{event}/event.json" for event in CAMPAIGN.events]


def every_job(*names):
    """Return an input function for files of every event and wavelength.

    A function, so that jobs on a cluster, which do not call it, need not list all files.
    """

    def of_target(wildcards):
        return [f"{RESULTS}/events/{job}/{name}" for name in names for job in jobs(wildcards)]

    return of_target


def every_ledger(wildcards):
    """Return the ledger of every event and wavelength."""
    return [f"{RESULTS}/ledger/{event}.{wave}.csv" for event, wave in CAMPAIGN.jobs]


def gaps(*outputs):
    """Return an input function for those outputs that are missing.

    Snakemake does not make a missing file again while the files made from it are up to date. So
    without this, the next run would forget a stage that failed after a change. Jobs that were never
    begun have no gap.
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
    """Return <source>/<event_id>/<wavelength> of every job whose event lacks no saved page."""
    missing = {event for event, _ in CAMPAIGN.without_page}
    return [
        f"{CAMPAIGN.rows[event].source}/{event}/{wavelength}"
        for event, wavelength in CAMPAIGN.jobs
        if event not in missing
    ]


def without_page(wildcards):
    """Return the jobs whose saved page is missing."""
    return [f"{event}/{wave}" for event, wave in CAMPAIGN.without_page]
