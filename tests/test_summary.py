from pathlib import Path

from flareset.summary import summarise, write_summary


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
