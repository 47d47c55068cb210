"""A request for an export: the arguments that shape its files, and the records it selects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flareset.standin.drmstime import scan, seconds_of
from flareset.standin.holdings import Holdings
from flareset.standin.madeup import Record
from flareset.standin.steps import Process, Step, read_process

_KINDS = ("fits", "as-is", "su-as-is", "jpg", "png", "mpg", "mp4")
# The size of the export manager's buffer for the recordset with JSOC's own filter.
LONGEST = 4095
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Form:
    """The arguments of an export request that shape its files.

    `filenamefmt` is None if it is left out. `everything` switches off JSOC's filter for records
    that have an image.
    """

    ds: str
    method: str = "url"
    protocol: str = "as-is"
    process: str = ""
    filenamefmt: str | None = None
    seg: str = ""
    max_recs: int = 0
    everything: bool = False

    @property
    def kind(self) -> str:
        """The protocol without its arguments (JSOC compares a prefix); empty if unknown."""
        return next((k for k in _KINDS if self.protocol.lower().startswith(k)), "")

    @property
    def steps(self) -> tuple[Step, ...]:
        """The processing steps."""
        return (read_process(self.process) or Process()).steps

    def key(self, found: Sequence[Record], segments: Sequence[str]) -> str:
        """Return a key of records and form. For JSOC, requests with the same key are the same."""
        recnums = ",".join(f"#{record.recnum}" for record in found)
        series = found[0].series.name if found else ""
        what = f"{series}[:{recnums}]{{{','.join(segments) if found else ''}}}"
        return "|".join([what, f"{self.filenamefmt}", self.process, self.protocol, self.method])

    def segments(self, holdings: Holdings) -> tuple[str, ...]:
        """Return the segments to deliver of each record, without those that the series lacks."""
        subset, structure = holdings.subsets(self.ds)[0]
        if self.steps and structure.name.startswith("aia."):
            return (structure.segments[0],)
        chosen = tuple(filter(None, self.seg.split(","))) or subset.segments
        return tuple(name for name in chosen or structure.segments if name in structure.segments)

    def selected(self, holdings: Holdings) -> Sequence[Record]:
        """Return the records that are asked for. Raise BadQuery if that cannot be decided."""
        found = holdings.find(self.ds, images_only=not self.everything)
        limit = self.max_recs or (read_process(self.process) or Process()).limit
        return (found[:limit] if limit > 0 else found[limit:]) if limit else found

    def records(self, holdings: Holdings) -> Sequence[Record]:
        """Return the records that are delivered, without those that the processing skips."""
        found = self.selected(holdings)
        for step in self.steps:
            if step.name == "im_patch":
                found = _patched(found, step.args)
        return found

    def dataset(self, holdings: Holdings) -> str:
        """Return the recordset as the export manager gets it."""
        return self.ds if self.everything else holdings.dataset(self.ds)

    def refusal(self, holdings: Holdings) -> str:
        """Return why JSOC's export manager refuses the request in its turn; else empty."""
        if read_process(self.process) is None:
            return f"Invalid process field value: {self.process}."
        if not self.kind:
            return "Problem running protocol-export command."
        if len(self.dataset(holdings)) > LONGEST:
            return "Record-set specification is too long."
        return ""

    def fails(self, holdings: Holdings) -> bool:
        """Return whether the job fails without a reason."""
        joined = len(holdings.subsets(self.ds)) > 1 and not self.steps
        long = len(self.filenamefmt or "") > _LONGEST_NAME
        return joined or long or not self.segments(holdings)


def _patched(found: Sequence[Record], args: dict[str, str]) -> list[Record]:
    """Return the records that im_patch uses: with image, from t_start to t_stop, by cadence."""
    limits = [scan(args.get(key, "")) for key in ("t_start", "t_stop")]
    begin, end = (limit[0] if limit else None for limit in limits)
    taken = [
        record
        for record in found
        if record.has_image
        and (begin is None or seconds_of(record.t_rec) >= begin)
        and (end is None or seconds_of(record.t_rec) <= end)
    ]
    cadence = args.get("cadence", "").removesuffix("s")
    if not taken or not cadence.replace(".", "", 1).isdigit():
        return taken
    if float(cadence) <= taken[0].series.cadence:
        return taken
    return _every(taken, float(cadence), seconds_of(taken[0].t_rec) if begin is None else begin)


def _every(found: Sequence[Record], cadence: float, begin: float) -> list[Record]:
    """Return the records of the first slot at or after each step of a cadence (seconds)."""
    kept: list[Record] = []
    due = begin
    for record in found:
        when = seconds_of(record.t_rec)
        if kept and kept[-1].t_rec == record.t_rec:
            kept.append(record)
        elif when >= due:
            kept.append(record)
            due += ((when - due) // cadence + 1) * cadence
    return kept
