"""Read flares from JSON: what HEK answers, Helioviewer's wrapping of it, SWPC's and DONKI's."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from flareset.errors import IntakeError
from flareset.intake.columns import NEEDED, make_row, ours, source_of_table
from flareset.intake.rows import FlareList, Row


def read_json(text: str, file: str) -> FlareList:
    """Return the flares of an answer in JSON. The line of a row is its number. IntakeError."""
    try:
        answer = json.loads(text)
    except json.JSONDecodeError as error:
        raise IntakeError(
            f"{file}, line {error.lineno}: not JSON, or a cut answer: {error.msg}"
        ) from None
    form, records, remarks = _records(answer, file)
    rows = tuple(_row(record, number, file) for number, record in enumerate(records, 1))
    return FlareList(file, form, rows, remarks)


def _records(answer: Any, file: str) -> tuple[str, list[dict[str, Any]], tuple[str, ...]]:
    """Return what an answer is, its records, and what has to be known of it."""
    if isinstance(answer, dict):
        return _of_hek(answer, file)
    first = answer[0] if answer and isinstance(answer[0], dict) else {}
    if "groups" in first:
        found = [row for kind in answer for group in kind["groups"] for row in group["data"]]
        return "HEK, as Helioviewer wraps it", _checked(found, file), ()
    records = _checked(answer, file)
    if "coded_type" in first:
        # Other events of the Sun stand beside the X-ray flares.
        flares = [_edited(record) for record in records if record.get("type") == "XRA"]
        return "SWPC edited events", flares, ()
    if "max_xrlong" in first:
        return "SWPC X-ray flares", [{**record, "swpc": True} for record in records], ()
    return "JSON", records, ()


def _of_hek(answer: dict[str, Any], file: str) -> tuple[str, list[dict[str, Any]], tuple[str, ...]]:
    if not isinstance(answer.get("result"), list):
        keys = ", ".join(map(str, list(answer)[:20])) or "none"
        raise IntakeError(
            f"{file}: JSON, but no answer of HEK: it has no list `result`; its keys are {keys}"
        )
    remarks = ("HEK says that there are more pages (overmax)",) if answer.get("overmax") else ()
    return "HEK", _checked(answer["result"], file), remarks


def _checked(records: list[Any], file: str) -> list[dict[str, Any]]:
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict):
            raise IntakeError(f"{file}, row {number}: not an object: {str(record)[:80]!r}")
        if missing := [name for name in NEEDED if name not in ours(record)]:
            raise IntakeError(
                f"{file}, row {number}: no key for the {' and the '.join(missing)} of a flare;"
                f" its keys are {', '.join(list(record)[:20])}"
            )
    return records


def _edited(record: dict[str, Any]) -> dict[str, Any]:
    """Return a row of SWPC's edited events under the names that other lists have."""
    return {
        "begin_datetime": f"{record['begin_quality'] or ''}{record['begin_datetime'] or ''}",
        "max_datetime": f"{record['max_quality'] or ''}{record['max_datetime'] or ''}",
        "end_datetime": f"{record['end_quality'] or ''}{record['end_datetime'] or ''}",
        "satellite": record["observatory"],
        "goes_class": record["particulars1"],
        "integrated_flux": record["particulars2"],
        "peak_flux": record["particulars10"],
        "region": record["region"],
        "event_no": record["bin"],
        "swpc": True,
    }


def _row(record: dict[str, Any], number: int, file: str) -> Row:
    """Return the row of a record."""
    names = list(record)
    values = [_text(record[name]) for name in names]
    cells = {
        column: next((values[place] for place in places if values[place]), "")
        for column, places in ours(names).items()
    }
    named = "swpc" if record.get("swpc") else source_of_table(names, PurePath(file).stem)
    return make_row(
        cells, file=file, line=number, otherwise=named, whole="\x1f".join(_sorted(names, values))
    )


def _sorted(names: Iterable[str], values: Iterable[str]) -> list[str]:
    """Return names and values in an order that does not depend on that of the answer."""
    return sorted(f"{name}={value}" for name, value in zip(names, values, strict=True))


def _text(value: Any) -> str:
    return "" if value is None else str(value)
