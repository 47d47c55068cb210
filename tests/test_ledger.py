import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from conftest import ROOT
from support.factories import a_quota
from test_listing import EUV, SHORT, read

from flareset.account import account
from flareset.job import Job
from flareset.ledger import ledger
from flareset.partition import partition
from flareset.sample import choose, draw, shortages
from flareset.sdo.recordset import window_recordset
from flareset.standin import catalogue
from flareset.summary import provenance
from flareset.tables.listing import images_of
from flareset.tables.manifest import COLUMNS
from flareset.tables.records import no_records
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
    listing, facts = read(catalogue.listing_page(made))
    images = partition(images_of(listing, "image"), SHORT)
    quota = a_quota(pre=500, post=3)
    candidates = draw(images, "test", 131, quota)
    inside = images[images["phase"] != "outside"]
    statuses = ["verified"] * len(inside)
    statuses[2], statuses[-2] = "failed", "rejected"
    manifest = pd.DataFrame("", index=range(len(inside)), columns=COLUMNS).assign(
        record=inside["record"].to_numpy(),
        filename=inside["filename"].to_numpy(),
        status=statuses,
        tries=1,
        bytes=pd.array([9] * len(inside), dtype="Int64"),
    )
    manifest.loc[2, "reason"] = "HTTP 404"
    manifest = manifest.drop(index=5)
    good = manifest["filename"][manifest["status"] == "verified"]
    chosen = choose(candidates, candidates["filename"].isin(good), quota)
    job = Job(SHORT, 131, EUV, "image", listing, facts, no_records())
    table = ledger(job, manifest, shortages(chosen, SHORT, quota))
    counts = table["status"].value_counts().to_dict()
    assert counts["outside"] == 6
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
    entry = account(job, chosen, table["status"], manifest)
    assert entry["statuses"] == counts
    made = datetime(2026, 1, 1, tzinfo=UTC)
    history = provenance([entry, entry], {"sample": {"seed": 1}}, [], Path(), made)
    assert history["counts"] == {status: 2 * number for status, number in counts.items()}


def test_the_manual_explains_every_word() -> None:
    manual = (ROOT / "config/README.md").read_text()
    section = manual.partition("## The ledger's words\n")[2].partition("\n## ")[0]
    assert {f"`{status}`" for status in Status} <= {*re.findall(r"`\w+`", section)}
