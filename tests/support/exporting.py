"""Read what a stand-in was asked for, and make exports as a user does by hand."""

from __future__ import annotations

import re
import time

import requests

from flareset.sdo.recordset import window_recordset
from flareset.standin.server import StandIn
from support.factories import EUV
from support.project import Project

EMAIL = "jane.doe@example.org"


def asked(server: StandIn) -> list[str]:
    """Return the recordsets of all exports that a server was asked for."""
    return [form["ds"] for _, form in server.calls if form.get("op") == "exp_request"]


def looked_up(server: StandIn) -> list[str]:
    """Return the recordsets whose records a server was asked for."""
    return [form["ds"] for _, form in server.calls if form.get("op") == "rs_list"]


def recnums(recordset: str) -> list[int]:
    """Return the record numbers of an order. Fail if it names its records otherwise."""
    assert re.fullmatch(r"[\w.]+\[:#\d+(,#\d+)*\]\{\w+\}", recordset), recordset
    return [int(text) for text in re.findall(r"#(\d+)", recordset)]


def windows(project: Project) -> list[str]:
    """Return the recordsets of the events' windows."""
    return [
        str(window_recordset(EUV, e.window_start, e.window_end, list(row.wavelengths), "image"))
        for row in project.read_rows()
        for e in [row.event]
    ]


def exported(server: StandIn, recordset: str, method: str = "url") -> str:
    """Make an export as on JSOC's page, and wait for it. Return its RequestID."""
    form = {
        "op": "exp_request", "format": "json", "ds": recordset, "method": method,
        "protocol": "FITS,compress Rice", "notify": EMAIL, "process": "n=0|no_op",
        "filenamefmt": "aia.lev1_euv_12s.{T_REC:A}.{WAVELNTH}.{segment}",
    }  # fmt: skip
    url = f"{server.cgi_url}jsoc_fetch"
    answer = requests.post(url, data=form, timeout=30).json()
    question = {"op": "exp_status", "requestid": answer["requestid"], "format": "json"}
    while int(requests.get(url, params=question, timeout=30).json()["status"]) in (1, 2, 6):
        time.sleep(0.05)
    return answer["requestid"]


def with_requests(project: Project, server: StandIn, method: str = "url") -> list[str]:
    """Give each row of a project a RequestID of its window. Return the RequestIDs."""
    ids = [exported(server, recordset, method) for recordset in windows(project)]
    rows = project.path("config/events.csv").read_text().splitlines()
    cells = ["request_id", *ids]
    project.events("".join(f"{row},{cell}\n" for row, cell in zip(rows, cells, strict=True)))
    return ids
