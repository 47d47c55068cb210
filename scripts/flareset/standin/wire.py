"""The form of JSOC's answers: compact or tabbed JSON, plain text, listing pages.

Source: mjson of DRMS, jsoc_export_make_index.c; recorded answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

LINK_BASE = "https://jsoc1.stanford.edu"
JSON, PLAIN, HTML = "application/json", "text/plain", "text/html"
_CRASHED = "<html><body>Internal Server Error</body></html>"


@dataclass(frozen=True)
class Answer:
    """An answer of the CGI: HTTP status, media type and text."""

    text: str
    type: str = JSON
    status: int = 200


def crashed() -> Answer:
    """Return the web server's answer for a program that crashed."""
    return Answer(_CRASHED, HTML, 500)


def compact(answer: dict[str, Any]) -> str:
    """Return an object as jsoc_fetch writes it: on one line."""
    return f"{_quoted(answer)}\n"


def tabbed(answer: dict[str, Any]) -> str:
    """Return an object as in jsoc_info and index.json: indented by tabs."""
    return f"{_tabbed(answer, 0)}\n"


def _tabbed(value: Any, depth: int) -> str:
    tabs = "\t" * depth
    if isinstance(value, dict):
        rows = (
            f"\t{tabs}{_quoted(key)}: {_tabbed(entry, depth + 1)}" for key, entry in value.items()
        )
        return "{\n" + ",\n".join(rows) + f"\n{tabs}}}"
    if isinstance(value, list):
        return "[" + f",\n{tabs}".join(_tabbed(entry, depth) for entry in value) + "]"
    return _quoted(value)


def _quoted(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("/", "\\/")


@dataclass(frozen=True)
class ListedStep:
    """A processing step in an index: its name, and the words of its command line."""

    name: str
    words: tuple[str, ...]

    def pairs(self) -> list[tuple[str, str | None]]:
        """Return the words as arguments and values. A word without `=` has no value."""
        split = (word.partition("=") for word in self.words)
        return [(name, value if mark else None) for name, mark, value in split]


def index_json(summary: dict[str, str], rows: Sequence[tuple[str, str]]) -> str:
    """Return an `index.json`. All values are text."""
    data = [{"record": record, "filename": name} for record, name in rows]
    return tabbed({**summary, "data": data})


def index_txt(
    summary: dict[str, str], rows: Sequence[tuple[str, str]], steps: Sequence[ListedStep] = ()
) -> str:
    """Return an `index.txt`. JSOC makes `index.json` and `index.html` from it."""
    as_is = summary.get("version") == "1"
    lines = ["# JSOC Export File List" if as_is else "# JSOC "]
    lines += [f"{k}={v}" for k, v in summary.items() if k not in ("keywords", "tarfile")]
    if steps:
        lines += ["# PROCESSING ", *proc_steps_txt(steps).splitlines()]
    lines.append("# DATA" if as_is else "# DATA ")
    lines += [f"{record}\t{name}" if name else record for record, name in rows]
    return "\n".join([*lines, ""])


def proc_steps_txt(steps: Sequence[ListedStep]) -> str:
    """Return a `proc-steps.txt`."""
    lines = []
    for step in steps:
        lines += ["", f"Processing-step applied: {step.name}"]
        lines += ["  argument\t\tvalue", "  --------\t\t-----"]
        lines += [f"  {name}" + (f"\t\t{v}" if v is not None else "") for name, v in step.pairs()]
    return "".join(f"{line}\n" for line in lines)


def index_html(
    summary: dict[str, str], data: Sequence[tuple[str, str]], steps: Sequence[ListedStep] = ()
) -> str:
    """Return a listing page. `summary` has the rows of its first table, `tarfile` included."""
    folder, tarfile = summary["dir"], summary.get("tarfile")
    rows = [
        f"<tr><td><b>{key}</b></td><td>{escape(value, quote=False)}</td></tr>"
        for key, value in summary.items()
        if key != "tarfile"
    ]
    if tarfile:
        link = f'<a href="{LINK_BASE}{tarfile}">{tarfile}</a>'
        rows.append(f"<tr><td>tarfile</td><td>{link}</td></tr>")
    if steps:
        rows += ["</table>", "<p><h2><b>Processing Steps</b></h2><p>"]
        rows += [row for step in steps for row in _step_rows(step)]
        rows += ["<p><h2><b>Selected Data</b></h2><p>", "<table>"]
    else:
        rows.append("</table><p><h2><b>Selected Data</b></h2><p><table>")
    cells = (
        name if tarfile else f'<A HREF="{LINK_BASE}{folder}/{name}">{name}</A>' for _, name in data
    )
    return "\n".join(
        [
            '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN"'
            ' "http://www.w3.org/TR/html4/loose.dtd">'
            '<html><head title="JSOC Data Export Request Results Index">',
            "</head><body>",
            "<h2>JSOC Data Request Summary</h2>",
            "<table>",
            *rows,
            *(
                f"<tr><td>{escape(record, quote=False)}</td><td>{cell}</td></tr>"
                for (record, _), cell in zip(data, cells, strict=True)
            ),
            "</table></body></html>",
            "",
        ]
    )


def _step_rows(step: ListedStep) -> list[str]:
    return [
        "<table>",
        f"<tr><td><b>{step.name}</b></td></tr>",
        "<tr><td><b>argument</b></td><td><b>value</b></td></tr>",
        *(
            f"<tr><td><b>{name}</b></td><td>{'(null)' if value is None else value}</td></tr>"
            for name, value in step.pairs()
        ),
        "</table>",
    ]
