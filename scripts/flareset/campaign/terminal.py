"""What a run of Snakemake shows on its terminal: what jobs say themselves, and what has failed.

The terminal is spared what Snakemake says of each job; its own log has all of it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from snakemake_interface_logger_plugins.common import LogEvent

# What Snakemake says of each job, in a run and in a dry run.
_OF_JOBS = {
    LogEvent.JOB_INFO, LogEvent.GROUP_INFO, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED,
    LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR, LogEvent.PROGRESS, LogEvent.RESOURCES_INFO,
    LogEvent.WORKFLOW_STARTED,
}  # fmt: skip
# The rules of single flares, without which nothing is made of all of them.
_OF_A_FLARE = {"event", "list", "draw", "download", "partition", "sample"}
# The rules that fail by what they find. Their last line is the verdict.
_FINDING = {"verify", "repair"}
_MOST_SHOWN = 40
_LONGEST_REASON = 400
_CHANNEL = re.compile(r"(.+)\.(\d+)")


class Quiet(logging.Filter):
    """Keeps off the terminal what Snakemake says of each job.

    A dry run shows its table of jobs once; a run (`dry` False) says one line in its place.
    """

    def __init__(self, *, dry: bool, say: Callable[[str], object]) -> None:
        super().__init__()
        self._dry = dry
        self._say = say
        self._counted = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is shown."""
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            first, self._counted = not self._counted, True
            if first and not self._dry:
                self._say(counts(vars(record)["stats"]))
            return first and self._dry
        if event == LogEvent.ERROR:
            # The failure of a job, which is told at the end.
            return getattr(record, "exception", "") != "RuleException"
        if record.module == "job_scheduler" and record.levelno <= logging.INFO:
            return False
        return event not in _OF_JOBS


class Failure(NamedTuple):
    """A job that failed: its rule, its event and channel where it has them, and its log."""

    rule: str
    job: str
    log: str

    @property
    def reason(self) -> str:
        """Why it failed, by the first line of the last error in its log."""
        try:
            lines = Path(self.log).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "it left no log: it never began, or was killed"
        said = [line.strip() for line in lines if line.strip()]
        if not said:
            return "its log is empty: there was no free space for it, or it was killed"
        errors = [n for n, line in enumerate(said) if line.startswith("error: ")]
        if not errors:
            # Python says so why it ended. A job that was killed says nothing of it.
            told = "" if self.rule in _FINDING else "its log ends with: "
            return f"{told}{said[-1]}"[:_LONGEST_REASON]
        first = said[errors[-1]].removeprefix("error: ").removeprefix(f"{self.job}: ")
        # A sentence that ends in a colon has the reason on the next line.
        more = said[errors[-1] + 1 : errors[-1] + 2] if first.endswith(":") else []
        return " ".join([first, *more])[:_LONGEST_REASON]


class Watch(logging.Handler):
    """Notes which jobs fail for good, as Snakemake tells its log."""

    def __init__(self) -> None:
        super().__init__()
        self._failed: dict[int, Failure] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a job that failed, or that another try has finished."""
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_ERROR:
            self._note(vars(record))
        elif event == LogEvent.GROUP_ERROR:
            for job in vars(record)["job_error_info"]:
                self._note(job)
        elif event == LogEvent.JOB_FINISHED:
            self._failed.pop(vars(record)["job_id"], None)

    def _note(self, job: dict[str, object]) -> None:
        log = next(iter(job["log"] or ()), "")  # type: ignore[call-overload]
        rule = str(job["rule_name"])
        self._failed[job["jobid"]] = Failure(rule, _job_of(str(log), rule), str(log))  # type: ignore[index]

    def lines(self) -> list[str]:
        """Return a line for each job that failed, as `told` does, and what to do."""
        lines = [f"failed: {line}" for line in told(self._failed.values())]
        if any(failure.rule == "download" for failure in self._failed.values()):
            lines.append("What arrived is in the store; run again to fetch only what is missing.")
        if any(failure.rule in _OF_A_FLARE for failure in self._failed.values()):
            lines.append(
                "The data set and its page need every flare: take the row of one that stays away"
                " out of the CSV, and run again."
            )
        return lines


def told(failures: Iterable[Failure]) -> list[str]:
    """Return a line for each failure, those of one rule and reason in one."""
    causes: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        causes.setdefault((failure.rule, failure.reason), []).append(failure)
    lines = []
    for (rule, reason), of_cause in causes.items():
        first = of_cause[0]
        if len(of_cause) == 1:
            where = f" ({first.log})" if first.log else ""
            lines.append(f"{f'{rule} {first.job}'.strip()}: {reason}{where}")
            continue
        names = ", ".join(failure.job for failure in of_cause[:3])
        names += ", …" if len(of_cause) > 3 else ""
        folder = Path(first.log).parent
        lines.append(f"{rule}, {len(of_cause)} times ({names}): {reason} ({folder}/)")
    if (rest := len(lines) - _MOST_SHOWN) > 0:
        lines[_MOST_SHOWN:] = [f"... and {rest} more: each has its log"]
    return lines


def counts(stats: dict[str, int]) -> str:
    """Return Snakemake's count of the jobs of a run in one line."""
    rules = {rule: number for rule, number in stats.items() if rule != "total"}
    return f"{sum(rules.values())} jobs: " + ", ".join(f"{r} {n}" for r, n in rules.items())


def _job_of(log: str, rule: str) -> str:
    """Return event and channel of a job by the name of its log, `<rule>/<event>.<channel>.log`."""
    path = Path(log)
    if path.parent.name != rule:
        return ""
    match = _CHANNEL.fullmatch(path.stem)
    return f"{match[1]} {match[2]}" if match else path.stem
