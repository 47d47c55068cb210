import subprocess
from datetime import UTC, datetime
from pathlib import Path

from support.project import ROOT

from flareset.summary import provenance, summarise, write_summary


def entry(event_id: str, wavelength: int, start: str, drawn: int) -> dict:
    return {
        "event_id": event_id,
        "wavelength": wavelength,
        "flare_start": start,
        "duration_minutes": 4.4,
        "minute_bins": 5,
        "drawn": {"pre": 178, "flare": drawn, "post": 178},
        "listed": {"pre": 892, "flare": 518, "post": 885},
        "short_outside": 7,
    }


def test_rows_in_time_order_and_a_total(tmp_path: Path) -> None:
    table = summarise(
        [
            entry("b", 131, "2014-02-01T00:00:00Z", 5),
            entry("a", 171, "2014-01-01T00:00:00Z", 4),
            entry("a", 131, "2014-01-01T00:00:00Z", 5),
        ]
    )
    assert table["event_id"].tolist() == ["a", "a", "b", "TOTAL"]
    assert table["wavelength"].tolist() == ["131", "171", "131", ""]
    total = table.iloc[-1].to_dict()
    assert (total["flare"], total["total"], total["listed_pre"]) == (14, 14 + 6 * 178, 3 * 892)
    assert (total["duration_minutes"], total["minute_bins"]) == (8.8, 10), "once per flare"
    write_summary(table, tmp_path / "s.csv", tmp_path / "s.md")
    assert (tmp_path / "s.csv").read_text().splitlines()[-1] == (
        "TOTAL,,8.8,10,534,14,534,1082,2676,1554,2655,21"
    )
    lines = (tmp_path / "s.md").read_text().splitlines()
    assert len(lines) == 6
    assert all(line.startswith("|") and line.endswith("|") for line in lines)
    assert lines[2].replace(" ", "").startswith("|a|131|4.40|5|178|5|178|361|892|518|885|7|")


def test_the_provenance_names_the_commit() -> None:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    account = {"statuses": {"verified": 2}, "recordset": "r", "request_ids": ["b", "a"]}
    accounts = [account, {**account, "statuses": {"failed": 1, "verified": 3}}]
    history = provenance(accounts, {"sample": {"seed": 7}}, [], Path(), made)
    assert history["counts"] == {"failed": 1, "verified": 5}
    assert (history["recordsets"], history["request_ids"]) == (["r"], ["a", "b"])
    assert (history["created"], history["seed"]) == ("2026-01-01T00:00:00Z", 7)
    head = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    told = subprocess.run(head, capture_output=True, text=True, check=False).stdout.strip()
    assert (history["flareset"]["git"] or "").removesuffix("-dirty") == told
