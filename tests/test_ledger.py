import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from support.factories import EUV, SHORT, a_job
from support.project import ROOT

from flareset.account import make_account
from flareset.draw import choose
from flareset.ledger import make_ledger
from flareset.sample import find_shortages
from flareset.sdo.flares import Flare
from flareset.sdo.recordset import window_recordset
from flareset.standin import catalogue
from flareset.summary import provenance
from flareset.tables.manifest import COLUMNS
from flareset.tables.status import Status


def test_every_slot_and_file_has_its_status() -> None:
    # A page that begins a minute early, with a slot and an image missing.
    begin = SHORT.window_start - timedelta(minutes=1)
    made = catalogue.export(str(window_recordset(EUV, begin, SHORT.window_end, [131])), 128)
    files = [
        file
        for file in made.files
        if "18:03:01Z" not in file.record
        and not ("18:04:01Z" in file.record and "image" in file.name)
    ]
    made = catalogue.Export(made.requestid, made.folder, tuple(files), 1, made.exptime)
    job = a_job(catalogue.listing_page(made), SHORT)
    most = {"pre": 500, "flare": 1, "post": 3}
    inside = job.candidates[job.candidates["verdict"] == "accepted"]
    names = job.listing.drop_duplicates("record").set_index("record")["filename"]
    statuses = ["verified"] * len(inside)
    statuses[2], statuses[-2] = "failed", "rejected"
    manifest = pd.DataFrame("", index=range(len(inside)), columns=COLUMNS).assign(
        record=inside["record"].to_numpy(),
        filename=inside["record"].map(names).to_numpy(),
        status=statuses,
        tries=1,
        bytes=pd.array([9] * len(inside), dtype="Int64"),
    )
    manifest.loc[2, "reason"] = "HTTP 404"
    manifest.loc[len(inside) - 2, "reason"] = "QUALITY 0x00010000: dark"
    manifest = manifest.drop(index=5)
    good = manifest["record"][manifest["status"] == "verified"]
    chosen = choose(job.candidates, set(inside["record"]) - set(good), most)
    table = make_ledger(job, manifest, find_shortages(chosen, SHORT, most))
    counts = table["status"].value_counts().to_dict()
    # Six slots of that minute, and the one that JSOC's range has at its end.
    assert counts["outside"] == 7
    assert counts["failed"] == counts["rejected"] == counts["not_needed"] == 1
    assert counts["verified"] == len(inside) - 3
    by_record = table.set_index("record")
    gone = by_record.loc["aia.lev1_euv_12s[2014-01-07T18:03:01Z][131]"]
    assert (gone["status"], gone["phase"]) == ("no_record", "pre")
    bare = by_record.loc["aia.lev1_euv_12s[2014-01-07T18:04:01Z][131]"]
    assert (bare["status"], bare["reason"]) == ("no_image", "the record lists only spikes")
    assert table.loc[table["status"] == "failed", "reason"].tolist() == ["HTTP 404"]
    short = table[table["status"] == "short"]
    drawn = (chosen["phase"] == "pre").sum()
    assert short["reason"].tolist() == [
        f"the draw: {drawn} of 500 wanted could be drawn from this bin"
    ]
    assert table["time"].is_monotonic_increasing

    # Every word of the ledger is counted, the bins that came short as well.
    assert set(counts) == {*Status}
    entry = make_account(job, chosen, table["status"], manifest)
    assert entry["statuses"] == counts
    made = datetime(2026, 1, 1, tzinfo=UTC)
    history = provenance([entry, entry], {"sample": {"seed": 1}}, [], Path(), made)
    assert history["counts"] == {status: 2 * number for status, number in counts.items()}


def test_what_the_draw_says_of_a_record_that_nobody_asked_for() -> None:
    other = Flare("other", SHORT.window_start, SHORT.window_start + timedelta(minutes=1))
    event = replace(SHORT, other_flares=(other,))
    made = catalogue.export(
        str(window_recordset(EUV, SHORT.window_start, SHORT.window_end, [131])), 128
    )
    job = a_job(catalogue.listing_page(made), event)
    table = make_ledger(job, pd.DataFrame(columns=COLUMNS)).set_index("record")
    verdicts = job.candidates.set_index("record")
    assert set(table.loc[verdicts.index, "status"]) == {"not_needed", "rejected", "outside"}
    masked = verdicts.index[verdicts["verdict"] == "rejected"]
    assert len(masked) == 5
    assert set(table.loc[masked, "reason"]) == {"in the flare of event other"}
    free = verdicts.index[verdicts["verdict"] == "accepted"]
    assert set(table.loc[free, "reason"]) == {"not drawn"}
    # The page tells the name of each file, be it fetched or not.
    assert (table.loc[verdicts.index, "filename"] != "").all()


def test_the_manual_explains_every_word() -> None:
    manual = (ROOT / "config/README.md").read_text()
    section = manual.partition("## The ledger's words\n")[2].partition("\n## ")[0]
    assert {f"`{status}`" for status in Status} <= {*re.findall(r"`\w+`", section)}
