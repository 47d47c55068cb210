"""Read the reports that NOAA publishes as text with fixed columns: SWPC's days, NCEI's years."""

from __future__ import annotations

import re
from datetime import date, datetime

from flareset.errors import IntakeError
from flareset.intake.columns import implied
from flareset.intake.rows import FlareList, Note, Row

_DAY = re.compile(r":Date:\s*(\d{4}) (\d\d) (\d\d)|Edited Events for (\d{4} [A-Z][a-z]{2} \d\d)")
# The kinds of events in SWPC's reports.
_KINDS = {
    "BSL", "CME", "DSF", "EPL", "FIL", "FLA", "FOR", "GLE", "LPS", "PCA", "RBR", "RNS", "RSP",
    "SPY", "XRA", "XFL",
}  # fmt: skip
_NGDC = re.compile(r"31[ \d]{3}\d{6}")


def is_swpc(text: str) -> bool:
    """Return whether a text is an SWPC report of a day's events."""
    return _DAY.search(text[:4000]) is not None and "Event" in text[:4000]


def read_swpc(text: str, file: str) -> FlareList:
    """Return the X-ray flares of SWPC's daily reports, one or several in a file. IntakeError.

    An optical or radio event under the number of a flare is no flare of its own.
    """
    rows = []
    day: date | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if match := _DAY.search(line):
            day = _day(match)
        if not line.strip() or line[0] in ":#" or line.startswith("NO EVENT"):
            continue
        kind = line[43:46].strip()
        if not re.match(r"\d{1,4}\s", line) or kind not in _KINDS or day is None:
            raise IntakeError(
                f"{file}, line {number}: not a line of SWPC's events, or a cut one: {line[:80]!r}"
            )
        if kind == "XRA":
            rows.append(_swpc_row(line.ljust(80), day, file, number))
    return FlareList(file, "SWPC daily report", tuple(rows))


def _day(match: re.Match[str]) -> date:
    if match[4]:
        return datetime.strptime(match[4], "%Y %b %d").date()
    return date(int(match[1]), int(match[2]), int(match[3]))


def _swpc_row(line: str, day: date, file: str, number: int) -> Row:
    if line[55:].strip() and not re.fullmatch(r"[A-Z]\S*", line[58:64].strip()):
        raise IntakeError(f"{file}, line {number}: an X-ray event without a class: {line[:80]!r}")
    cells = {
        "date": day.isoformat(),
        "start": line[10:15].strip(),
        "peak": line[17:22].strip(),
        "end": line[27:32].strip(),
        "satellite": line[34:37],
        "goes_class": line[58:64],
        "integrated_flux": line[66:74].strip(),
        "noaa_ar": line[76:80],
    }
    return Row("swpc", file, number, cells, f"{day:%Y%m%d}-{line[:4].strip()}", line.strip())


def is_ngdc(text: str) -> bool:
    """Return whether a text is a yearly X-ray report of NCEI (once NGDC)."""
    return _NGDC.match(text.lstrip("\r\n")) is not None


def read_ngdc(text: str, file: str) -> FlareList:
    """Return the flares of NCEI's yearly reports. Times stand as start, end, maximum. IntakeError.

    Source: NCEI, xray.fmt.rev.
    """
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("\x1a"):
            continue
        if not _NGDC.match(line) or len(line.rstrip()) < 63:
            raise IntakeError(
                f"{file}, line {number}: not a line of NCEI's report, or a cut one: {line[:80]!r}"
            )
        rows.append(_ngdc_row(line.ljust(96), file, number))
    return FlareList(file, "NCEI yearly report", tuple(rows))


def _ngdc_row(line: str, file: str, number: int) -> Row:
    given = line[59:63]
    goes_class = implied(given)
    cells = {
        "date": line[5:11],
        "start": line[13:17].strip(),
        "end": line[18:22].strip(),
        "peak": line[23:27].strip(),
        "place": line[28:34].strip(),
        "goes_class": goes_class,
        "satellite": line[67:71],
        "integrated_flux": line[72:80].strip(),
        "noaa_ar": line[80:85],
    }
    note = Note("class.implied_decimal", "goes_class", given.strip(), goes_class)
    return Row("ngdc", file, number, cells, whole=line.strip(), notes=(note,))
