"""The worked example of JSOC's guide to cut-outs: aia.lev1, scaled, tracked, in a tar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits
from support.project import Project
from support.stages import in_process

from flareset.sdo.geometry import carrington
from flareset.sdo.times import parse_utc
from flareset.standin.server import StandIn

ROW = """event_id,event_starttime,event_endtime,jsoc_start_time,jsoc_end_time
guide,2014-02-05 12:00:00,2014-02-05 12:10:00,2014-02-05 08:00:00,2014-02-05 16:00:00
"""
WAVELENGTHS = [304, 171, 193, 211]


def test_the_guide(
    tmp_path: Path, serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSOC_EMAIL", "jane.doe@example.org")
    server = serve()
    rotation, longitude = carrington(parse_utc("2014-02-05 12:00:00"))
    box = {
        "center": [round((longitude - 20) % 360, 2), -12],
        "center_units": "carrington",
        "car_rot": rotation,
        "size": [500, 500],
        "size_units": "arcsec",
        "track": True,
    }
    project = Project(
        tmp_path / "guide",
        {
            "source": "export",
            "archive": {"kind": "jsoc", "data_url": server.url, "cgi_url": server.cgi_url},
            "series": "aia.lev1",
            "wavelengths": WAVELENGTHS,
            "export": {
                "method": "url-tar",
                "filename_format": "{seriesname}.{T_REC:A}.{WAVELNTH}.{segment}.noproj",
                "processing": [{"aia_scale": {}}, {"im_patch": box}],
            },
        },
    )
    project.events(ROW)
    in_process(project, monkeypatch)

    window = "aia.lev1[2014-02-05T08:00:00Z-2014-02-05T16:00:00Z][? WAVELNTH="
    asked = [form["ds"] for _, form in server.calls if form.get("op") == "rs_list"]
    assert [text for text in asked if ":#" not in text] == [f"{window}{w} ?]" for w in WAVELENGTHS]
    forms = [form for _, form in server.calls if form.get("op") == "exp_request"]
    assert all(form["ds"].startswith("aia.lev1[:#") for form in forms)
    process = forms[0]["process"]
    assert process.startswith("n=0|aia_scale_orig|im_patch,t_start=2014-02-05T08:00:00Z,")
    assert ",t=0,r=0,c=0,cadence=12s,locunits=carrlong,boxunits=arcsec,car_rot=2146," in process
    listed = Counter()
    for wavelength in WAVELENGTHS:
        rows = project.table(f"results/events/guide/{wavelength}/records.csv")
        listed[wavelength] = len(rows)
        assert rows[-1]["record"].startswith("aia.lev1[2014-02-05T1")
        files = project.table(f"results/events/guide/{wavelength}/manifest.csv")
        names = [row["filename"] for row in files]
        assert all(name.startswith("aia.lev1p5_mod.2014-02-05T") for name in names)
        assert all(name.endswith(f".{wavelength}.image.noproj.guide.fits") for name in names)
    assert all(2385 <= number <= 2401 for number in listed.values()), listed
    # The first 171 image of each minute falls on second 00, the last on 16:00:00 itself.
    last = project.table("results/events/guide/171/records.csv")[-1]
    assert last["time"] == "2014-02-05T16:00:00Z"

    tars = [path for path in server.log if path.endswith(".tar")]
    assert len(tars) == len(server.created) == len(WAVELENGTHS)

    images = project.table("results/data_selection/images.csv")
    drawn = Counter(int(row["wavelength"]) for row in images)
    # The flare ends on second 00: its last minute has an image at 171 alone.
    assert drawn == {171: 5 + 11 + 5, **dict.fromkeys((304, 193, 211), 5 + 10 + 5)}
    for row in images:
        path = project.path(f"results/data_selection/fits/raw/{row['filename']}")
        header = fits.getheader(path, 1)
        assert header["LVL_NUM"] == 1.5
        assert header["WAVELNTH"] == int(row["wavelength"])
        assert abs(header["NAXIS1"] - 500 / header["CDELT1"]) <= 1
    assert len(list(project.path("store").rglob("*.tar*"))) == 0
