"""The rows of an export become a listing: images, pictures and movies, of the right channel."""

from __future__ import annotations

import pytest
from support.factories import EUV, SHORT
from support.rows import column

from flareset.errors import ListingError
from flareset.sdo.series import SERIES
from flareset.sdo.times import iso
from flareset.sources.export_rows import ExportRows
from flareset.tables.status import Kind

RECORD = "aia.lev1_euv_12s[2014-01-07T18:05:01Z][131]"
LATER = "aia.lev1_euv_12s[2014-01-07T18:05:13Z][131]"
SCALED = "aia_test.lev1p5[2014-01-07T18:05:01Z]"
AT = "https://jsoc1.stanford.edu/SUM1/D1/S00000/"


def listing(*rows: tuple[str, str], **over: object) -> list[dict[str, object]]:
    usual = {
        "event": SHORT,
        "wavelength": 131,
        "series": EUV,
        "segment": "image",
        "wavelengths": [131],
        "protocol": "fits",
        "processed": False,
    }
    reader = ExportRows(**{**usual, **over})
    return reader.listing([(record, AT + name, name) for record, name in rows])


def test_an_image_has_the_segment_of_its_record_and_the_time_of_its_name() -> None:
    name = "aia.lev1_euv_12s.2014-01-07T180510Z.131.spikes.fits"
    (row,) = listing((f"{RECORD}{{spikes}}", name))
    assert (row["kind"], row["segment"], row["wavelength"]) == (Kind.IMAGE, "spikes", 131)
    assert (iso(row["t_rec"]), iso(row["time"])) == ("2014-01-07T18:05:01Z", "2014-01-07T18:05:10Z")
    assert (row["record"], row["filename"], row["url"]) == (RECORD, name, AT + name)
    with pytest.raises(ListingError, match="not a bare name of a FITS file"):
        listing((RECORD, "aia.lev1_euv_12s.2014-01-07T180510Z.131.jpg"))


def test_a_picture_is_of_the_segment_that_was_asked_for() -> None:
    rows = [(RECORD, "20140107_180510_131.jpg"), (LATER, "20140107_180522_131.jpg")]
    first, second = listing(*rows, protocol="jpg")
    assert first["kind"] == second["kind"] == Kind.PICTURE
    assert first["segment"] == "image"
    assert first["filename"] == rows[0][1]
    # Stored files of one name lie in several folders, and get names of their own later.
    name = "image_lev1.fits"
    reader = [(RECORD, f"{AT}1/{name}", name), (LATER, f"{AT}2/{name}", name)]
    stored = ExportRows(SHORT, 131, EUV, "image", [131], "as-is", processed=False)
    assert column(stored.listing(reader), "kind") == [Kind.IMAGE, Kind.IMAGE]
    export = ExportRows(SHORT, 131, EUV, "image", [131], "fits", processed=False)
    with pytest.raises(ListingError, match="is listed twice"):
        export.listing(reader)


@pytest.mark.parametrize("protocol", ["mpg", "mp4"])
def test_a_movie_is_of_the_event_s_whole_window(protocol: str) -> None:
    (row,) = listing((RECORD, f"movie.{protocol}"), protocol=protocol)
    assert (row["kind"], row["segment"], row["wavelength"]) == (Kind.MOVIE, "image", 131)
    assert row["filename"] == f"test.131.movie.{protocol}"
    assert row["t_rec"] == row["time"] == SHORT.window_start


def test_the_channel_is_in_the_record_or_in_the_name_or_the_one_asked_for() -> None:
    channels = [131, 171]
    other = RECORD.replace("[131]", "[171]")
    (row,) = listing((other, "a.2014-01-07T180510Z.fits"), wavelengths=channels)
    assert row["wavelength"] == 171
    # What processing has made has a series of its own.
    name = "aia_test.lev1p5.2014-01-07T180501Z.171.image.fits"
    (row,) = listing((SCALED, name), wavelengths=channels, processed=True)
    assert row["wavelength"] == 171
    with pytest.raises(ListingError, match="says which of the wavelengths 131, 171 it is"):
        listing((SCALED, name.replace(".171", "")), wavelengths=channels, processed=True)
    # A record of aia.lev1 does not say its channel: JSOC's own list of records will.
    lev1 = SERIES["aia.lev1"]
    record, name = "aia.lev1[2014-01-07T18:05:01Z][7000001]", "aia.lev1.70001.image_lev1.fits"
    (row,) = listing((record, name), wavelengths=channels, series=lev1, segment="image_lev1")
    assert row["wavelength"] == 131
