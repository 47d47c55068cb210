"""The public drms client, unmodified but for its ServerConfig, against the stand-in."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support import needs
from support.as_jsoc import EMAIL, run_suite

from flareset.standin.catalogue import records
from flareset.standin.frames import Frames
from flareset.standin.server import StandIn

drms = needs.module("drms")

DS = "aia.lev1_euv_12s[2014-01-07T18:00:00Z/2m][131]{image}"
NAMES = "aia.lev1_euv_12s.{T_REC:A}.{WAVELNTH}.{segment}"
FRAMES = Frames(128, [])


def config(server: StandIn) -> "drms.ServerConfig":
    return drms.ServerConfig(
        name="stand-in",
        cgi_baseurl=server.cgi_url,
        cgi_show_series="show_series",
        cgi_jsoc_info="jsoc_info",
        cgi_jsoc_fetch="jsoc_fetch",
        cgi_check_address="checkAddress.sh",
        http_download_baseurl=server.url + "/",
    )


@pytest.fixture
def server(serve: Callable[..., StandIn]) -> StandIn:
    return serve(delay=0.05)


@pytest.fixture
def client(server: StandIn) -> "drms.Client":
    return drms.Client(server=config(server))


def frame_bytes(record: str) -> bytes:
    return b"".join(FRAMES.file(records(record, FRAMES)[0].frame("image")))


def test_series_and_addresses(client: "drms.Client") -> None:
    found = client.series(r"aia\.lev1")
    assert {"aia.lev1", "aia.lev1_euv_12s", "aia.lev1_uv_24s"} <= set(found)
    info = client.info("aia.lev1_euv_12s")
    assert info.primekeys == ["T_REC", "WAVELNTH"]
    assert list(info.segments.index) == ["image", "spikes"]
    assert info.keywords.loc["EXPTIME"].type == "double"
    assert client.check_email(EMAIL)
    assert not client.check_email("unregistered@example.edu")
    with pytest.raises(drms.DrmsQueryError):
        client.info("aia.nothing")


def test_query(client: "drms.Client") -> None:
    keys, segments = client.query(DS, key="T_REC,T_OBS,EXPTIME,QUALITY,FSN", seg="image")
    expected = records(DS, FRAMES)
    assert list(keys["FSN"]) == [record.frame("image").fsn for record in expected]
    assert list(drms.to_datetime(keys["T_REC"])) == [
        record.t_rec.replace(tzinfo=None) for record in expected
    ]
    assert (keys["EXPTIME"] > 2).all()
    assert segments["image"][0] == f"{expected[0].folder}/image_lev1.fits"
    assert len(client.query("hmi.sharp_cea_720s[377][2011.02.15/1h]", key="NOAA_AR")) == 5
    assert client.query(DS, key="T_REC", n=-3).shape == (3, 1)
    empty = client.query("aia.lev1_euv_12s[2009-01-07T18:00:00Z/1h][131]", key="T_REC")
    assert empty.empty


@pytest.mark.parametrize(
    ("method", "protocol"), [("url", "fits"), ("url-tar", "fits"), ("url_quick", "as-is")]
)
def test_export(
    client: "drms.Client", server: StandIn, tmp_path: Path, method: str, protocol: str
) -> None:
    request = client.export(
        DS, email=EMAIL, method=method, protocol=protocol, filenamefmt=NAMES, n=4
    )
    assert request.wait(sleep=0.05, timeout=20)
    assert len(request.data) == 4
    if method == "url_quick":
        assert server.created == []
        first = request.urls.url[0].removeprefix(server.url)
        found = records(request.data.record[0].partition("{")[0], FRAMES)[0]
        assert first == f"{found.folder}/image_lev1.fits"
    else:
        assert request.id == server.created[0]
        again = client.export_from_id(request.id)
        assert again.data.equals(request.data)
    paths = request.download(tmp_path)["download"]
    contents = [Path(path).read_bytes() for path in paths]
    if method == "url-tar":
        with tarfile.open(paths[0]) as tar:
            contents = [tar.extractfile(f"./{name}").read() for name in request.data.filename]
    if protocol == "fits":
        assert contents == [frame_bytes(record) for record in request.data.record]
    else:
        assert all(content.startswith(b"SIMPLE  =") for content in contents)


def test_processing(client: "drms.Client", tmp_path: Path) -> None:
    box = {
        "t_ref": "2014-01-07T18:00:00", "t": 0, "r": 0, "c": 0, "locunits": "arcsec",
        "boxunits": "arcsec", "x": 0, "y": 0, "width": 600, "height": 600,
    }  # fmt: skip
    request = client.export(
        DS, email=EMAIL, method="url", protocol="fits", process={"im_patch": box}
    )
    assert request.wait(sleep=0.05, timeout=20)
    wanted = f"aia.lev1_euv_12s_mod[2014-01-07T18:00:01Z][131][{request.id}]"
    assert request.data.record[0] == wanted
    path = request.download(tmp_path, index=0)["download"][0]
    assert Path(path).stat().st_size < len(frame_bytes(DS))


def test_a_refusal(client: "drms.Client") -> None:
    request = client.export("aia.nothing[2014]", email=EMAIL, method="url", protocol="fits")
    with pytest.raises(drms.DrmsExportError, match="does not exist"):
        request.wait()


# What drms' own tests want of JSOC that the stand-in has not.
_SOUNDINGS = "the stand-in has no series of helioseismology"
_LATITUDE = "CRLT_OBS to 1e-4 degrees: the stand-in looks from the Earth's centre"
LACKING = {
    "test_series_primekeys[aia.response-pkeys5]": "the stand-in has AIA's images alone",
    "test_series_primekeys[hmi.v_sht_2drls-pkeys2]": _SOUNDINGS,
    "test_series_info_basic[hmi.v_sht_2drls-pkeys2-segments2]": _SOUNDINGS,
    "test_export_asis_basic[url_quick]": _SOUNDINGS,
    "test_export_asis_basic[url]": _SOUNDINGS,
    "test_export_fits_basic": "HARP 4864 of November 2014 is not among the stand-in's",
    "test_query_basic": _LATITUDE,
    "test_query_key": _LATITUDE,
    "test_jsocinfoconstants": "the stand-in has no synoptic maps",
}


def test_the_online_tests_of_drms(tmp_path: Path) -> None:
    """The suite that drms runs against JSOC, without its tests of another archive."""
    needs.module("pytest_remotedata")
    count, failed, said = run_suite(tmp_path, "drms", "-m", "remote_data and not kis")
    assert failed == LACKING.keys(), said
    assert count == 46
