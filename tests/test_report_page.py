"""The page of a campaign: its numbers, its pictures, and that it lies well in a browser."""

from __future__ import annotations

import csv
import json
import re
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import astropy.units as units
import numpy as np
import pytest
from astropy.io import fits
from bs4 import BeautifulSoup
from support import needs
from support.browser import laid_out
from support.factories import an_event, at
from support.project import ROOT, Project
from support.stages import script
from support.tables import event_of, write_tables

from flareset.campaign.known import KnownFlare, KnownFlares
from flareset.errors import ReportError
from flareset.phases import PHASES
from flareset.report import charts
from flareset.report.colours import colour_table
from flareset.report.facts import Image, read_campaign
from flareset.report.goes import GoesFlux, read_goes
from flareset.report.page import Look, write_report
from flareset.report.pictures import picture, some_of
from flareset.report.words import Found, verdicts

WIDTHS = (320, 390, 700, 1200)


def soup_of(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(), "html.parser")


def numbers_of(row: BeautifulSoup) -> list[str]:
    return [cell.text.replace(",", "") for cell in row.select("td.n")]


@pytest.fixture(scope="module")
def shown(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the small campaign, made by its script."""
    page = tmp_path_factory.mktemp("report") / "report" / "index.html"
    (config,) = finished.path("results/settings").glob("config.*.json")
    told = ["--results", str(finished.path("results")), "--config", str(config)]
    script("report_page", *told, "--images=3", "--one-page=50", f"--page={page}")
    return page


def test_the_page_has_the_numbers_of_the_summary(finished: Project, shown: Path) -> None:
    *rows, total = finished.table("results/summary.csv")
    page = soup_of(shown)
    for row in rows:
        (cells,) = page.select(f"section[id='{row['event_id']}'] tbody tr")
        names = ("pre", "flare", "post", "total", "listed_pre", "listed_flare", "listed_post")
        names += ("duration_minutes", "minute_bins", "short_outside")
        assert numbers_of(cells) == [row[name] for name in names]
    assert numbers_of(page.select_one("tfoot tr"))[:4] == [
        total[name] for name in ("pre", "flare", "post", "total")
    ]
    assert page.h1.text == f"2 flares, {total['total']} images, nothing missing"


def test_a_figure_and_pictures_of_each_flare(finished: Project, shown: Path) -> None:
    events = finished.read_events()
    sections = soup_of(shown).select("section.event")
    assert [section["id"] for section in sections] == [event.event_id for event in events]
    for section in sections:
        assert len(section.select("svg.panel")) == 1
        assert len(section.select("figure.thumb img")) == 9
    # Only the first flare has a place.
    assert [len(section.select(".here")) for section in sections] == [9, 0]
    assert ["The ring marks" in section.text for section in sections] == [True, False]


def test_nothing_is_outside_of_the_page(shown: Path) -> None:
    page = soup_of(shown)
    assert not page.select("script, link, iframe, object, embed, base")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.select("img"))
    links = [a["href"] for a in page.select("a")]
    assert all(link.startswith(("#", "../")) for link in links)
    assert not [link for link in links if link[0] == "#" and not page.select(f"[id='{link[1:]}']")]
    text = shown.read_text()
    assert "://" not in text
    assert not re.search(r"@import|url\(", text)


def test_same_bytes_twice(finished: Project, shown: Path, tmp_path: Path) -> None:
    (config,) = finished.path("results/settings").glob("config.*.json")
    write_report(finished.path("results"), config, tmp_path, Look(3, 50), None)
    assert (tmp_path / "index.html").read_bytes() == shown.read_bytes()


def test_nothing_overflows_or_overlaps(shown: Path, tmp_path: Path) -> None:
    """With all that may be on a page: channels, failures, gaps, classes, long reasons."""
    found = laid_out(shown, WIDTHS, tmp_path)
    config = write_tables(tmp_path / "r", flares=5, wavelengths=(94, 131, 171), failed=5)
    flux = [f"{10 ** (n % 50 / 10 - 8):.2e}" for n in range(80)]
    goes = read_goes([write_goes(tmp_path / "g.csv", event_of(1).window_start, flux)])
    write_report(tmp_path / "r", config, tmp_path, Look(2, 50), None, goes)
    found += laid_out(tmp_path / "index.html", WIDTHS, tmp_path)
    assert [each["width"] for each in found] == [*WIDTHS, *WIDTHS]
    assert all(each["words"] > 100 for each in found)
    assert [each["wrong"] for each in found] == [[]] * len(found)
    assert [each["broken"] for each in found] == [0] * len(found)
    assert found[0]["pictures"] == 18


def test_what_is_missing_is_told_first(tmp_path: Path) -> None:
    config = write_tables(tmp_path, flares=3, failed=5)
    write_report(tmp_path, config, tmp_path / "report", Look(0, 50), None)
    page = soup_of(tmp_path / "report" / "index.html")
    assert page.h1.text.endswith(", 3 gaps")
    verdicts = {each.h2.contents[1]: each for each in page.select(".verdict")}
    assert list(verdicts) == ["Asked for", "There", "Missing", "Leaks", "Splits"]
    said = verdicts["Missing"].text
    assert "bad" in verdicts["Missing"]["class"]
    assert "3 minutes or phases have fewer images than wanted" in said
    assert "15 images could not be had" in said
    assert "short exposure" in said
    assert "EXPTIME at 131 Å (AUC 0.97)" in verdicts["Leaks"].text
    assert "docs/splits.md, under “A leak, and now?”" in verdicts["Leaks"].text
    assert "## A leak, and now?" in (ROOT / "docs/splits.md").read_text()
    lanes = [name.text.split() for name in page.select("section.event .name:not(.tall)")]
    counts = {" ".join(words): int(n) for *words, n in lanes[:5]}
    with open(next((tmp_path / "ledger").iterdir())) as file:
        statuses = [row["status"] for row in csv.DictReader(file)]
    assert counts == {
        name: statuses.count(name.replace(" ", "_"))
        for name in ("verified", "failed", "rejected", "no record", "not needed")
    }


def test_what_was_asked_is_told_by_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_tables(tmp_path, flares=1)
    told = json.loads(config.read_text())
    told["sample"] |= {"per_minute": 1, "pre": 9, "post": 0, "decay": 2}
    config.write_text(json.dumps(told))
    campaign, found = read_campaign(tmp_path, config), Found()
    text = "1 image in each minute of the flare, 0 images after the flare"
    (asked, *_) = verdicts(campaign, found)
    seed = told["sample"]["seed"]
    assert f"Drawn by the seed {seed}: 9 images before the flare, {text}." in asked.sentences
    decay = replace(PHASES[2], name="decay", quota="decay", bin=timedelta(minutes=5))
    monkeypatch.setattr("flareset.report.words.PHASES", (*PHASES, decay))
    (asked, *_) = verdicts(campaign, found)
    assert f"{text}, 2 images in each 5 minutes of decay." in asked.sentences[1]


def test_folds_are_told_where_there_is_no_split(tmp_path: Path) -> None:
    config = write_tables(tmp_path, flares=2)
    campaign = read_campaign(tmp_path, config)
    note = "only 2 groups: a test on so few says little"
    audit = campaign.audit | {"splits": {}, "folds": {"0": {}, "1": {}}, "notes": [note]}
    *_, split = verdicts(replace(campaign, audit=audit | {"breaches": []}), Found())
    assert split.sentences[0].startswith("2 folds of flares (the column `fold` of splits.csv)")
    assert split.sentences[1] == "Only 2 groups: a test on so few says little."


def test_of_many_flares_each_has_a_page(tmp_path: Path) -> None:
    config = write_tables(tmp_path, flares=6)
    folder = tmp_path / "report"
    write_report(tmp_path, config, folder, Look(0, 5), None)
    index = soup_of(folder / "index.html")
    assert not index.select("section.event")
    rows = index.select("tbody tr:has(a)")
    assert len(rows) == len(index.select("svg.spark")) == 6
    for row in rows:
        page = soup_of(folder / row.a["href"])
        assert page.select_one("a")["href"] == "../index.html"
        assert len(page.select("svg.panel")) == 1
    # Fewer flares, all on the page again: the other pages are gone.
    write_report(tmp_path, config, folder, Look(0, 50), None)
    assert [path.name for path in folder.rglob("*.html")] == ["index.html"]


def test_memory_does_not_grow_with_the_flares(tmp_path: Path) -> None:
    def peak(flares: int) -> int:
        top = tmp_path / str(flares)
        config = write_tables(top, flares=flares)
        tracemalloc.start()
        write_report(top, config, top / "report", Look(0, 1), None)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(1)
    few, many = peak(2), peak(8)
    # A row of the index stays of each flare.
    assert many - few < 6 * 40_000


def test_a_campaign_without_images_has_a_page(tmp_path: Path) -> None:
    """As of pictures and movies, which are not drawn."""
    config = write_tables(tmp_path, flares=2)
    images = tmp_path / "data_selection" / "images.csv"
    images.write_text(images.read_text().partition("\n")[0] + "\n")
    write_report(tmp_path, config, tmp_path / "report", Look(4, 50), None)
    page = soup_of(tmp_path / "report" / "index.html")
    assert not page.select("svg.panel, img")
    assert "No light curve" in page.select_one("section.event").text


def test_words_of_the_user_are_no_markup(tmp_path: Path) -> None:
    config = write_tables(tmp_path, flares=1)
    (event,) = tmp_path.glob("events/*/event.json")
    told = json.loads(event.read_text())
    told["columns"]["goes_class"] = "<script>alert(1)</script>"
    event.write_text(json.dumps(told))
    write_report(tmp_path, config, tmp_path / "report", Look(0, 50), None)
    page = tmp_path / "report" / "index.html"
    assert "<script" not in page.read_text()
    assert "<script>alert(1)</script>" in soup_of(page).text


def test_known_flares_are_shown_by_their_class(tmp_path: Path) -> None:
    config = write_tables(tmp_path, flares=1)
    (path,) = tmp_path.glob("events/*")
    start = event_of(0).flare_start + timedelta(minutes=20)
    end = start + timedelta(minutes=9)
    known = [KnownFlare("k", start, None, end, "C3.0", ((start, end),))]
    write_report(tmp_path, config, tmp_path / "report", Look(0, 50), KnownFlares(known))
    section = soup_of(tmp_path / "report" / "index.html").select_one(f"[id='{path.name}']")
    assert [name.contents[1].strip() for name in section.select(".tall")] == [
        "131 Å, DN/s", "GOES class"
    ]  # fmt: skip
    assert len(section.select("polygon.known")) == 1


# The X-ray flux of GOES


def write_goes(path: Path, start: datetime, fluxes: Sequence[object]) -> Path:
    """Write a value a minute."""
    rows = [f"{start + timedelta(minutes=n):%Y-%m-%dT%H:%M:%SZ},{f}" for n, f in enumerate(fluxes)]
    path.write_text("\n".join(["time,xrsb_flux", *rows]) + "\n")
    return path


def pieces(goes: GoesFlux, minutes: int) -> list[list[float]]:
    found = goes.in_window(at(0), at(60 * minutes))
    return [[value for _, value in piece] for piece in found]


@pytest.mark.parametrize("unknown", ["", "nan", "0", "-9999", "-99999", "-1e-9", "inf"])
def test_what_is_no_flux_is_a_gap(tmp_path: Path, unknown: str) -> None:
    fluxes = [1e-6, 2e-6, 3e-6, unknown, 5e-6, 6e-6]
    goes = read_goes([write_goes(tmp_path / "g.csv", at(0), fluxes)])
    assert pieces(goes, 9) == [[1e-6, 2e-6, 3e-6], [5e-6, 6e-6]]
    assert pieces(goes, 2) == [[1e-6, 2e-6]]
    assert goes.in_window(at(600), at(900)) == []


def test_of_two_files_the_first_counts_and_the_second_fills_its_gaps(tmp_path: Path) -> None:
    first = write_goes(tmp_path / "a.csv", at(0), [1e-6, "", 3e-6])
    second = write_goes(tmp_path / "b.csv", at(60), [7e-6, 8e-6, 9e-6])
    assert pieces(read_goes([first, second]), 9) == [[1e-6, 7e-6, 3e-6, 9e-6]]


def test_netcdf_of_noaa_is_read_as_csv_is(tmp_path: Path) -> None:
    h5py = needs.module("h5py")
    epoch = datetime(2000, 1, 1, 12, tzinfo=UTC)
    with h5py.File(tmp_path / "g.nc", "w") as data:
        data["time"] = [(at(60 * n) - epoch) / timedelta(seconds=1) for n in range(6)]
        data["time"].attrs["units"] = "seconds since 2000-01-01 12:00:00 UTC"
        data["xrsb_flux"] = [1e-6, 2e-6, 3e-6, 4e-6, -9999, 6e-6]
        data["xrsb_flag"] = np.array([0, 0, 16, 0, 0, 0], dtype="u1")
    found = pieces(read_goes([tmp_path / "g.nc"]), 9)
    assert found == [[1e-6, 2e-6], [4e-6], [6e-6]]


def test_a_real_file_of_noaa_has_its_fluxes_at_its_times(real: Path) -> None:
    """A flare summary has time and xrsb_flux as the averages have: at start, peak and end."""
    h5py = needs.module("h5py")
    path = real / "flares/flsum/sci_xrsf-l2-flsum_g15_d20101016_v1-0-0.nc"
    goes = read_goes([path])
    day = datetime(2010, 10, 16, tzinfo=UTC)
    found = [point for piece in goes.in_window(day, day + timedelta(days=1)) for point in piece]
    when, flux = max(found, key=lambda point: point[1])
    # Other lists have this flare's peak at 19:12, too. The class is NOAA's, beside the flux.
    assert when == day.replace(hour=19, minute=12)
    with h5py.File(path) as data:
        assert f"M{flux * 1e5:.2f}"[:4] == data["flare_class"][:].tolist()[13].decode() == "M4.5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,flux\n", "has no column xrsb_flux or xrsb or b_flux; it has time, flux"),
        ("when,xrsb\n", "has no column time or time_tag; it has when, xrsb"),
        ("", "has no column time or time_tag; it has none"),
        ("time,xrsb\n2014-01-07,1\n", "line 2: '2014-01-07' has no time of day; time has to be"),
        ("time,xrsb\n2014-01-07T00:00,C1\n", "line 2: could not convert string to float: 'C1'"),
        ("time,xrsb\n\xff\n", "cannot be read"),
    ],
)
def test_a_file_that_has_no_flux_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "g.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ReportError, match=re.escape(said)) as refusal:
        read_goes([path])
    assert str(path) in str(refusal.value)
    assert "report_page.goes" in str(refusal.value)


def test_a_flare_is_shown_with_the_flux_of_its_window(tmp_path: Path) -> None:
    config = write_tables(tmp_path, flares=2)
    start = event_of(0).window_start
    fluxes = [4e-7] * 30 + [2.2e-4, 1e-4, "", *[3e-6] * 300]
    goes = read_goes([write_goes(tmp_path / "g.csv", start, fluxes)])
    write_report(tmp_path, config, tmp_path / "report", Look(0, 50), None, goes)
    first, second = soup_of(tmp_path / "report" / "index.html").select("section.event")
    _, panel = first.select("svg.panel")
    lines = [line["d"] for line in panel.select(".xrs")]
    assert len(lines) == 2
    points = [tuple(map(float, point.split())) for point in lines[0][1:].split("L")]
    # Four classes, B to X, 120 units high: the M begins half-way.
    assert points[0] == (0, pytest.approx(120 - 30 * np.log10(4), abs=0.06))
    assert points[-2] == (
        pytest.approx(1000 * 30 / 72, abs=0.06), pytest.approx(30 - 30 * np.log10(2.2), abs=0.06),
    )  # fmt: skip
    letters = {each.text: each["style"] for each in first.select(".tall b")}
    assert letters == {
        "B": "top:87.5%", "C": "top:62.5%", "M": "top:37.5%", "X": "top:12.5%",
    }  # fmt: skip
    # The file ends before the second flare.
    assert len(second.select("svg.panel")) == 1
    assert "no flux in this window" in second.text


def test_a_ring_is_told_of_where_there_is_one(tmp_path: Path) -> None:
    """The second flare has a place, but no image of it can be read."""
    config = write_tables(tmp_path, flares=2)
    write_report(tmp_path, config, tmp_path / "report", Look(1, 50), None)
    page = soup_of(tmp_path / "report" / "index.html")
    assert page.select("figure.thumb")
    assert "The ring marks" not in page.text


# Pictures


def an_image(number: int, name: str = "a.fits", wavelength: int = 131) -> Image:
    return Image(wavelength, "flare", at(60 * number), name, "normal", 2.0, 9.0)


def write_image(path: Path, pixels: np.ndarray, **header: float) -> None:
    hdu = fits.CompImageHDU(pixels.astype("i2"), compression_type="RICE_1")
    hdu.header.update(header)
    hdu.writeto(path)


def test_a_picture_keeps_its_aspect_and_marks_the_flare(tmp_path: Path) -> None:
    pixels = np.full((300, 600), 10)
    pixels[20:40, 440:480] = 5000
    axes = {"CRPIX1": 300.5, "CRPIX2": 150.5, "CDELT1": 2.0, "CDELT2": 2.0, "CROTA2": 0.0}
    write_image(tmp_path / "a.fits", pixels, **axes)
    # The bright pixels are west and south of the centre: columns 440 to 480, rows 20 to 40.
    event = replace(an_event((0, 600), (0, 600)), hpc_x=2 * (460 - 300), hpc_y=2 * (30 - 150))
    (shown,) = picture([an_image(0)], tmp_path, event).thumbnails
    assert (shown.width, shown.height) == (192, 96)
    assert shown.here == pytest.approx((100 * 460 / 600, 100 - 100 * 30 / 300), abs=0.2)


def test_a_frame_with_the_south_up_is_turned(tmp_path: Path) -> None:
    axes = {"CRPIX1": 50.5, "CRPIX2": 50.5, "CDELT1": 10.0, "CDELT2": 10.0, "CROTA2": 180.0}
    write_image(tmp_path / "a.fits", np.eye(100) * 50 + 5, **axes)
    event = replace(an_event((0, 600), (0, 600)), hpc_x=300.0, hpc_y=200.0)
    (shown,) = picture([an_image(0)], tmp_path, event).thumbnails
    assert shown.here == pytest.approx((80, 30), abs=0.2), "west is right, north is up"


def test_a_real_image_has_a_picture(real: Path) -> None:
    """JSOC's headers are not all as FITS wants them."""
    folder = real / "fits"
    files = sorted(folder.glob("sunkit*/aia*.fits")) + sorted(
        folder.glob("hmi*/*.magnetogram.fits")
    )
    for path in files:
        (shown,) = picture(
            [an_image(0, path.name)], path.parent, an_event((0, 9), (0, 9))
        ).thumbnails
        assert shown.source
        assert max(shown.width, shown.height) == 192


def test_what_cannot_be_read_has_no_picture(tmp_path: Path) -> None:
    (tmp_path / "torn.fits").write_bytes(b"SIMPLE  = no")
    event = an_event((0, 600), (0, 600))
    found = picture([an_image(0, "none.fits"), an_image(1, "torn.fits")], tmp_path, event)
    assert [each.source for each in found.thumbnails] == ["", ""]


def test_some_images_with_that_of_the_peak() -> None:
    images = [an_image(number) for number in range(100)]
    found = some_of(images, 4, at(60 * 42))
    assert [image.time for image in found] == [at(0), at(60 * 42), at(60 * 66), at(60 * 99)]
    assert some_of(images[:3], 4, at(0)) == images[:3]
    assert some_of(images, 0, at(0)) == []


@pytest.mark.parametrize("wavelength", [94, 131, 171, 193, 211, 304, 335, 1600, 1700, 4500])
def test_the_colours_are_those_of_sunpy(wavelength: int) -> None:
    needs.module("matplotlib")
    tables = needs.module("sunpy.visualization.colormaps.color_tables")
    theirs = tables.aia_color_table(wavelength * units.angstrom)(np.arange(256))
    assert np.abs(colour_table(wavelength) - theirs[:, :3] * 255).max() <= 1


def test_words_on_an_axis_are_few_and_whole() -> None:
    for minutes in (3, 8, 60, 459, 3000, 20_000, 100_000):
        span = charts.Span(at(0), at(60 * minutes))
        ticks = charts.clock(span)
        assert 1 <= len(ticks) <= 8
        assert all(0 < tick.place < 100 for tick in ticks)


@pytest.mark.parametrize(("values", "ends"), [([3.0, 3.003], (2.97, 3.03)), ([1.0, 4.0], (1, 4))])
def test_noise_does_not_fill_a_light_curve(values: list[float], ends: tuple[float, float]) -> None:
    points = [(at(60 * n), value) for n, value in enumerate(values)]
    found = charts.curve(charts.Span(at(0), at(600)), [("normal", points)], 110, "")
    assert (found.low, found.high) == pytest.approx(ends, abs=0.005)
