import csv
import io
import json
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import numpy as np
import pytest
import requests
from astropy.io import fits

from flareset.sdo.flares import Flare
from flareset.sdo.recordset import Recordset
from flareset.standin.catalogue import records
from flareset.standin.frames import Frames
from flareset.standin.madeup import MadeUp
from flareset.standin.server import Fault, Limits, StandIn
from flareset.standin.wire import index_html, index_json, index_txt

FRAMES = Frames(128, [])
DS = "aia.lev1_euv_12s[2014-01-07T18:00:00Z/5m][131]"
NAMES = "aia.lev1_euv_12s.{T_REC:A}.{WAVELNTH}.{segment}"
ASKED = {
    "op": "exp_request", "ds": DS + "{image}", "method": "url", "protocol": "FITS,compress Rice",
    "process": "n=0|no_op", "filenamefmt": NAMES, "notify": "a.b@c.edu", "requestor": "x",
    "format": "json",
}  # fmt: skip
BOX = (
    "im_patch,t_start=2014-01-07T18:01:00,t_stop=2014-01-07T18:03:00,t=0,r=0,c=0,cadence=12s,"
    "locunits=arcsec,boxunits=arcsec,t_ref=2014-01-07T18:01:00,x=0,y=0,width=600,height=600"
)
HOUR, DAY = 3600, 86400


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 15, 10, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


class Client:
    """Asks a stand-in as JSOC's own page does."""

    def __init__(self, server: StandIn, clock: Clock) -> None:
        self.server = server
        self.clock = clock
        self.session = requests.Session()
        self.session.trust_env = False

    def raw(self, endpoint: str, **form: str) -> requests.Response:
        return self.session.post(self.server.cgi_url + endpoint, data=form)

    def ask(self, **over: str) -> dict[str, Any]:
        return self.raw("jsoc_fetch", **{**ASKED, **over}).json()

    def status(self, requestid: str) -> dict[str, Any]:
        return self.raw("jsoc_fetch", op="exp_status", requestid=requestid).json()

    def info(self, op: str, ds: str, **more: str) -> dict[str, Any]:
        return self.raw("jsoc_info", op=op, ds=ds, **more).json()

    def done(self, **over: str) -> dict[str, Any]:
        answer = self.ask(**over)
        assert answer["status"] == 2, answer
        self.clock.now += 100
        return self.status(answer["requestid"])

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.session.get(self.server.url + path, headers=headers)


@pytest.fixture
def client(serve: Callable[..., StandIn]) -> Any:
    """Start a stand-in with a clock of its own, and a client of it."""
    clients = []

    def start(**options: Any) -> Client:
        clock = options.pop("clock", None) or Clock()
        made = Client(serve(**{"delay": 10, "clock": clock, **options}), clock)
        clients.append(made)
        return made

    yield start
    for made in clients:
        made.session.close()


# Protocol: real request strings, answers and index files.

REQUESTS = [
    "op=exp_request&ds=hmi.m_45s%5B2013.12.09_03%3A00%3A00_TAI-2013.12.11_08%3A00%3A00_TAI%5D"
    "&process=n%3D0%7Cno_op&requestor=none&notify=a%40b.edu&method=url&filenamefmt=hmi.m_45s."
    "%7BT_REC%3AA%7D.%7BCAMERA%7D.%7Bsegment%7D&format=json&protocol=FITS%2Ccompress%20Rice",
    "op=exp_request&ds=aia.lev1_euv_12s[2015.10.17_04:33:30/300m@84s][171,193,94,304]{image}"
    "&sizeratio=1&process=n=0|im_patch,t_start=2015-10-17T04:33:30.000,t_stop=2015-10-17T09:33:30"
    ".000,t=0,r=0,c=0,cadence=84s,locunits=arcsec,boxunits=arcsec,t_ref=2015-10-17T04:33:30.000,"
    "x=-517.2,y=-246,width=345.6,height=345.6&requestor=FirstLast&notify=first.last@email.com"
    "&method=url-tar&filenamefmt=aia.lev1_euv_12s.{T_REC:A}.{WAVELNTH}.{segment}&format=json"
    "&protocol=FITS,compress Rice",
    "op=exp_request&format=json&ds=hmi.sharp_cea_720s[377][2011.02.15_02:12:00_TAI]{Br}&notify="
    "a%40b.edu&method=url&protocol=fits&filenamefmt=hmi.sharp_cea_720s.{HARPNUM}.{T_REC:A}."
    "{segment}&process=n=0&requestor=u&sizeratio=1.0",
    f"op=exp_request&format=json&ds={quote(DS)}&notify=a%2540b.edu&method=url&protocol=fits"
    "&filenamefmt=x&process%3Dn=0%7Cim_patch%2Ct%3D0%2Cx%3D0&requester=a",
]
FIRST_NAMES = [
    "hmi.m_45s.20131209_030000_TAI.2.magnetogram.fits",
    # The slot nearest to 04:33:30 is that of 04:33:24, before im_patch's t_start; 84 s on is next.
    "aia.lev1_euv_12s.2015-10-17T043448Z.94.image.fits",
    "hmi.sharp_cea_720s.377.20110215_021200_TAI.Br.fits",
    "x",
]


@pytest.mark.parametrize("way", ["GET", "POST"])
@pytest.mark.parametrize(("query", "name"), [*zip(REQUESTS, FIRST_NAMES, strict=True)])
def test_real_requests(client: Any, query: str, name: str, way: str) -> None:
    asking = client()
    url = asking.server.cgi_url + "jsoc_fetch"
    if way == "GET":
        answer = asking.session.get(f"{url}?{query}").json()
    else:
        answer = asking.session.post(url, data=query).json()
    assert answer["status"] == 2, answer
    asking.clock.now += 100
    assert asking.status(answer["requestid"])["data"][0]["filename"] == name


@pytest.mark.parametrize(
    ("key", "text"), [("protocol", "FITS,compress Rice"), ("wait", 10), ("size", 300)]
)
def test_the_answer_is_compact_with_numbers(client: Any, key: str, text: object) -> None:
    text_of = client().raw("jsoc_fetch", **ASKED)
    assert text_of.headers["Content-Type"] == "application/json"
    answer = text_of.json()
    assert list(answer) == ["status", "requestid", "method", "protocol", "wait", "rcount", "size"]
    assert text_of.text == json.dumps(answer, separators=(",", ":")) + "\n"
    assert answer[key] == text
    assert answer["requestid"] == "JSOC_20260115_001"


@pytest.mark.parametrize("sample", ["s1", "s2", "s3", "s4"])
def test_index_files_are_those_of_jsocs_program(real: Path, sample: str) -> None:
    folder = real / "jsoc/index_samples" / sample
    text = (folder / "index.json").read_text()
    summary = json.loads(text)
    rows = [(row["record"], row["filename"]) for row in summary.pop("data")]
    assert index_json(summary, rows) == text
    assert index_txt(summary, rows) == (folder / "index.txt").read_text()
    assert index_html(summary, rows) == (folder / "index.html").read_text()


def test_a_finished_export_is_its_index_json(client: Any) -> None:
    asking = client()
    answer = asking.ask()
    requestid = answer["requestid"]
    states = []
    for _ in range(3):
        states.append(asking.status(requestid))
        asking.clock.now += 10
    assert [state["status"] for state in states] == [2, 1, "0"]
    assert (states[0]["rcount"], states[0]["wait"], states[1]["wait"]) == (0, 10, 0)
    done = states[2]
    assert done["count"] == str(len(done["data"])) == str(answer["rcount"])
    assert done["exptime"] == "2026.01.15_10:00:20_UT"
    raw = asking.raw("jsoc_fetch", op="exp_status", requestid=requestid).text
    assert '\t"dir": "\\/SUM' in raw
    assert raw.endswith("}]\n}\n")
    assert asking.get(done["dir"] + "/index.json").text == raw
    page = asking.get(done["dir"]).text
    assert page == asking.get(done["dir"] + "/index.html").text
    row = done["data"][0]
    assert row["filename"] in page
    assert row["record"] == "aia.lev1_euv_12s[2014-01-07T18:00:01Z][131]"
    content = asking.get(f"{done['dir']}/{row['filename']}").content
    record = records(row["record"], FRAMES)[0]
    assert content == b"".join(FRAMES.file(record.frame("image")))
    assert asking.get(f"{done['dir']}/other.fits").status_code == 404


# Refusals at once, each with JSOC's text.


@pytest.mark.parametrize(
    ("over", "status", "text"),
    [
        ({"notify": ""}, 4, "Missing required argument 'address'."),
        ({"notify": "unregistered@b.edu"}, 4, "has been neither validated nor registered"),
        ({"notify": "pending@b.edu"}, 4, "registration is pending"),
        ({"notify": "a b"}, 4, "Not a valid email address."),
        ({"ds": "nonsense"}, 4, "Cannot export series 'nonsense' - it does not exist.\n"),
        ({"ds": "non sense"}, 4, "Bad record-set query 'non sense'.\n"),
        ({"ds": "aia.nothing[2014]"}, 4, "Cannot export series 'aia.nothing' - it does not exist."),
        ({"ds": DS + "[131]"}, 4, "Bad record-set subset specification"),
        ({"ds": DS + "[? AECTYPE=2 ?]"}, 4, "bad query or too many records"),
        ({"ds": "aia.lev1_euv_12s[][131]"}, 4, "bad query or too many records"),
        ({"ds": f"{DS},hmi.M_45s[2014.01.07/1h]"}, 4, "records from different series.\n"),
        ({"ds": "jsoc.export[x]"}, 4, "Export}} of jsoc_export series not allowed."),
        ({"seg": "image"}, 4, "cannot provide both the `seg` argument"),
        ({"ds": ""}, 4, "Bad record-set query ''.\n"),
        ({"ds": "aia.lev1_euv_12s[2014.01.07/3d][131]"}, 3, "max record limit of 15000"),
        ({"ds": "aia.lev1_euv_12s[2014.01.07/2d][131]"}, 3, "max byte limit of 100000MB"),
        ({"ds": "hmi.M_45s[2014.01.07/5d]", "protocol": "FITS,**NONE**"}, 3, "of 10000MB"),
        (
            {"ds": "aia.lev1_euv_12s[2014-01-07T00/1m][335]", "method": "url_quick",
             "protocol": "as-is", "max_recs": "0", "process": "n=0", "q": "0"}, 0, "",
        ),
        (
            {"ds": "aia.lev1_euv_12s[2009-01-07T00:00:02/1s][335]", "method": "url_quick",
             "protocol": "as-is"}, 4, "There are no files in this RecordSet",
        ),
    ],
)  # fmt: skip
def test_refusals(client: Any, over: dict[str, str], status: int, text: str) -> None:
    asking = client()
    answer = asking.ask(**over)
    assert (int(answer["status"]), asking.server.created) == (status, [])
    assert text in answer.get("error", "")
    if status == 3:
        assert (answer["requestid"], answer["count"] > 1000) == ("VOID", True)


@pytest.mark.parametrize("text", [DS + ";", DS + "'"])
def test_what_no_argument_may_have_is_refused_in_plain_text(client: Any, text: str) -> None:
    answer = client().raw("jsoc_fetch", **{**ASKED, "ds": text})
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text.startswith("status=4\nerror=")
    assert answer.text.endswith("not allowed\n") == (";" in text)


@pytest.mark.parametrize(
    ("over", "text"),
    [
        ({"process": "n=0|enlarge,x=1"}, "Invalid process field value: n=0|enlarge,x=1."),
        ({"process": "n=many"}, "Invalid process field value: n=many."),
        ({"protocol": "tiff"}, "Problem running protocol-export command."),
    ],
)
def test_what_the_manager_rejects(client: Any, over: dict[str, str], text: str) -> None:
    asking = client()
    first = asking.ask(**over)
    assert first["status"] == 2
    asking.clock.now += 11
    failed = asking.status(first["requestid"])
    assert (failed["status"], failed["wait"]) == (4, 999999)
    assert failed["error"].endswith(text)
    # The pending row is forgotten: the address stays blocked until it lapses or is cancelled.
    again = asking.ask(**over)
    assert again["status"] == 7
    assert f"User a.b@c.edu has 1 pending export requests ({first['requestid']});" in again["error"]
    asking.clock.now += HOUR
    anew = asking.ask(**over)
    assert (anew["status"], anew["requestid"]) == (2, "JSOC_20260115_002")


@pytest.mark.parametrize(
    "over", [{"ds": f"{DS},aia.lev1_euv_12s[2014-01-08T00/1m][131]"}, {"ds": DS + "{imgae}"}]
)
def test_jobs_that_fail_say_no_reason(client: Any, over: dict[str, str]) -> None:
    asking = client()
    first = asking.ask(**over)
    asking.clock.now += 21
    failed = asking.status(first["requestid"])
    assert (failed["status"], failed["error"]) == (4, "")
    assert asking.ask()["status"] == 2, "the pending row is gone with the job"


def test_an_export_of_no_records_is_finished_without_files(client: Any) -> None:
    done = client().done(ds="aia.lev1_euv_12s[2009-01-07T18:00:02Z/1s][131]")
    assert (done["status"], done["count"]) == ("0", "0")
    assert done["data"][0]["record"].startswith("warning=No FITS files were exported.")


def test_exp_status_of_what_is_not_there(client: Any) -> None:
    asking = client()
    texts = [asking.status(i)["error"] for i in ("", "x", "JSOC_20260101_123")]
    assert texts == [
        "RequestID must be provided",
        "Bad RequestID 'x' provided.",
        "invalid export DRMS record for ID `%s`JSOC_20260101_123",
    ]


# One pending request, duplicates, expiry.


def test_one_pending_request_for_an_address(client: Any) -> None:
    asking = client()
    first = asking.ask()["requestid"]
    refused = asking.ask(ds=DS)
    assert (refused["status"], "requestid" in refused) == (7, False)
    assert first in refused["error"]
    assert asking.ask(ds=DS, notify="other%40c.edu")["status"] == 2
    asking.clock.now += 21
    assert asking.ask(ds="aia.lev1_euv_12s[2014-01-08T00/1h][131]")["status"] == 2


def test_ten_pending_requests_for_a_machine(client: Any) -> None:
    asking = client()
    answers = [asking.ask(filenamefmt=str(n), notify=f"u{n}@c.edu") for n in range(13)]
    assert [answer["status"] for answer in answers] == [2] * 11 + [7] * 2
    assert "too many requests from u12@c.edu" in answers[-1]["error"]


def test_manage_request(client: Any) -> None:
    asking = client()
    manage = ("manage-request.sh", "a.b@c.edu")

    def operate(operation: str) -> dict[str, str]:
        return asking.raw(manage[0], address=manage[1], operation=operation).json()

    none = operate("check")
    assert none == {"status": "1", "msg": "no existing export request for export user a.b@c.edu"}
    requestid = asking.ask()["requestid"]
    wanted = f"a.b@c.edu [ request_id={requestid}, start_time=2026-01-15 10:00:00 ]"
    assert operate("check")["msg"].endswith(wanted)
    assert operate("cancel")["msg"].endswith(f"{wanted} was canceled")
    assert operate("cancel")["status"] == "1"
    asking.clock.now += 21
    assert asking.status(requestid)["status"] == "0", "the job goes on"
    assert operate("nonsense")["status"] == "-3"


def test_an_identical_request_finds_the_first(client: Any) -> None:
    asking = client(faults=[Fault("jobfail", "336")])
    first = asking.ask()
    assert asking.ask(requestor="y")["status"] == 7, "while it is pending, the address is busy"
    asking.clock.now += HOUR
    assert asking.ask(requestor="y", sizeratio="0.5")["requestid"] == first["requestid"]
    second = asking.ask()
    assert (second["status"], second["requestid"]) == (2, first["requestid"])
    asking.clock.now += DAY
    assert asking.ask()["requestid"] == "JSOC_20260116_001"
    assert len(asking.server.created) == 2


def test_a_failed_job_is_found_again(client: Any) -> None:
    asking = client(faults=[Fault("jobfail", times=1)])
    first = asking.ask()["requestid"]
    asking.clock.now += 30
    assert asking.status(first)["error"] == ""
    assert asking.ask()["requestid"] == first
    other = asking.ask(filenamefmt="again." + NAMES)["requestid"]
    asking.clock.now += 30
    assert asking.status(other)["status"] == "0"


def test_an_export_expires(client: Any) -> None:
    asking = client()
    done = asking.done()
    path = f"{done['dir']}/{done['data'][0]['filename']}"
    assert asking.get(path).status_code == 200
    asking.clock.now += 7 * DAY
    gone = asking.status(done["requestid"])
    assert (gone["status"], "7 day limit" in gone["error"]) == (5, True)
    assert asking.get(path).status_code == 404


def test_the_state_is_shared_and_hides_the_address(client: Any, tmp_path: Path) -> None:
    state, clock = tmp_path / "state/exports.json", Clock()
    first, second = (client(state=state, clock=clock) for _ in range(2))
    requestid = first.ask()["requestid"]
    assert second.ask(ds=DS)["status"] == 7
    clock.now += 30
    done = second.status(requestid)
    assert done["status"] == "0"
    name = done["data"][3]["filename"]
    contents = [c.get(f"{done['dir']}/{name}").content for c in (first, second)]
    assert contents[0] == contents[1]
    assert contents[0].startswith(b"SIMPLE  =")
    text = state.read_text()
    assert "a.b" not in text
    assert "c.edu" not in text

    def ask(number: int) -> str:
        return (first, second)[number % 2].ask(filenamefmt=str(number), notify=f"u{number}@c.edu")[
            "requestid"
        ]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(8)))) == 8


# Methods, protocols, processing.


def test_url_tar(client: Any) -> None:
    asking = client()
    done = asking.done(method="url-tar", ds=DS + "{image}")
    path, name = done["tarfile"], done["data"][0]["filename"]
    assert path == f"{done['dir']}/{done['requestid']}.tar"
    whole = asking.get(path)
    with tarfile.open(fileobj=io.BytesIO(whole.content)) as tar:
        members = {member.name: member for member in tar.getmembers()}
        assert {"./index.json", "./index.html", f"./{done['requestid']}.qsub"} <= set(members)
        assert len([m for m in members if m.endswith(".fits")]) == int(done["count"])
        record = records(done["data"][0]["record"], FRAMES)[0]
        content = tar.extractfile(f"./{name}").read()
        assert content == b"".join(FRAMES.file(record.frame("image")))
    part = asking.get(path, Range="bytes=300000-", **{"If-Range": whole.headers["ETag"]})
    assert (part.status_code, part.content) == (206, whole.content[300000:])
    some = asking.get(path, Range="bytes=5-9")
    assert (some.content, some.headers["Content-Range"].split("/")[0]) == (
        whole.content[5:10], "bytes 5-9",
    )  # fmt: skip
    assert asking.get(f"{done['dir']}/{name}").status_code == 404
    assert asking.get(f"{done['dir']}/index.txt").status_code == 200
    assert f'<a href="https://jsoc1.stanford.edu{path}">{path}</a>' in asking.get(done["dir"]).text


@pytest.mark.parametrize(
    ("ds", "stem"),
    [(DS, "image_lev1"), ("hmi.V_45s[2014.01.07_18:00_TAI/2m]", "Dopplergram")],
)
def test_url_quick(client: Any, ds: str, stem: str) -> None:
    asking = client()
    now = asking.ask(ds=ds, method="url_quick", protocol="as-is")
    assert (now["status"], now["dir"], now["requestid"], now["count"]) == (
        0, "", "", len(now["data"]),
    )  # fmt: skip
    row = now["data"][0]
    assert row["filename"].endswith(f"/S00000/{stem}.fits")
    assert row["record"].startswith(ds.split("[")[0])
    assert row["record"].endswith("}")
    found = MadeUp(FRAMES).held(int(row["filename"].split("/")[2][1:]))
    assert row["record"].startswith(found.query())
    content = asking.get(row["filename"]).content
    with fits.open(io.BytesIO(content)) as hdus:
        assert "T_REC" not in hdus[1].header
        assert hdus[1].data.size
    assert asking.server.created == []


def test_url_quick_falls_through(client: Any) -> None:
    faults = [Fault("offline", "aia"), Fault("offline", "hmi", code=25)]
    asking = client(faults=faults)
    hmi = asking.ask(ds="hmi.M_45s[2014.01.07_18/2m]", method="url_quick", protocol="as-is")
    assert (hmi["status"], "data files are offline" in hmi["error"]) == (25, True)
    done = asking.done(method="url_quick", protocol="as-is")
    assert (done["status"], done["method"], done["version"]) == ("0", "url_quick", "1")
    assert asking.done(method="url_quick", protocol="FITS")["protocol"] == "fits"


def test_as_is(client: Any) -> None:
    asking = client()
    # Records that hold links alone have no file of their own (recorded: JSOC_20261126_082_IN).
    linked = asking.done(ds=DS, protocol="as-is")
    assert (linked["status"], linked["count"], linked["data"]) == ("0", "0", [])
    ds = "aia.lev1[2014-01-07T08:00:00Z/30m][? WAVELNTH=131 AND QUALITY < 0 ?]"
    done = asking.done(ds=ds, protocol="as-is")
    assert len(done["data"]) == 4, "two records, an image and spikes of each"
    assert done["data"][0]["record"].endswith("]{image_lev1}")
    assert {row["filename"] for row in done["data"][::2]} == {"NoDataFile"}
    assert int(done["count"]) == len(done["data"]) / 2
    table = asking.get(done["keywords"]).text.splitlines()
    assert table[0].startswith("record\t")
    assert len(table) == len(done["data"]) / 2 + 1


def test_records_without_image(client: Any) -> None:
    asking = client()
    ds = "aia.lev1_euv_12s[2014-01-07T08:00:00Z/30m][131]{image}"
    every = asking.info("rs_list", ds, key="QUALITY,T_REC")
    column = every["keywords"][0]["values"]
    lost = column.count("0x80000000")
    assert lost
    assert asking.info("rs_summary", ds)["count"] == len(column)
    counts = {
        "filter": asking.ask(ds=ds)["rcount"],
        "q": asking.ask(ds=ds, q="1", notify="b@c.edu")["rcount"],
        "named": asking.ask(ds=f"{ds[:-7]}[? QUALITY<=0 ?]", notify="d@c.edu")["rcount"],
    }
    assert counts == {"filter": len(column) - lost, "q": len(column), "named": len(column)}
    asking.clock.now += 30
    shown = asking.status("JSOC_20260115_002")
    assert int(shown["count"]) == len(column) - lost, "no row for what has no file"


@pytest.mark.parametrize(
    ("series", "steps", "record", "count"),
    [
        ("aia.lev1_euv_12s", BOX, "aia.lev1_euv_12s_mod[2014-01-07T18:01:01Z][131][ID]", 10),
        (
            # In a flare every other T_OBS is 2 s late. The middle of its nearest slot is that of
            # the next image, which hides it.
            "aia.lev1_euv_12s", f"aia_scale_aialev1|{BOX}",
            "aia.lev1_euv_12s_mod[2014-01-07T18:01:17Z][131][ID]", 5,
        ),
        ("aia.lev1", f"aia_scale_orig|{BOX}", "aia.lev1p5_mod[2014-01-07T18:01:10Z][131][ID]", 10),
        ("aia.lev1", "aia_scale_orig", "aia.lev1p5[2014-01-07T18:00:10Z][131]", 25),
    ],
)  # fmt: skip
def test_processing(client: Any, series: str, steps: str, record: str, count: int) -> None:
    peak = datetime(2014, 1, 7, 18, 2, tzinfo=UTC)
    flare = Flare("x", peak - timedelta(hours=1), peak + timedelta(hours=1), peak)
    asking = client(flares=[flare] if count == 5 else [])
    ds = {"aia.lev1_euv_12s": DS}.get(
        series, "aia.lev1[2014-01-07T18:00:00Z-2014-01-07T18:05:00Z][? WAVELNTH=131 ?]"
    )
    names = "{seriesname}.{T_REC:A}.{CAMERA}.{segment}"
    done = asking.done(ds=ds, process=f"n=0|{steps}", filenamefmt=names)
    row = done["data"][0]
    assert row["record"] == record.replace("ID", done["requestid"])
    mod, when = record.split("[")[0], record.split("[")[1][:-1].replace(":", "")
    assert row["filename"] == f"{mod}.{when}.1.image.fits"
    assert "<h2><b>Processing Steps</b></h2>" in asking.get(done["dir"]).text
    assert int(done["count"]) == len(done["data"]) == count
    content = asking.get(f"{done['dir']}/{row['filename']}").content
    with fits.open(io.BytesIO(content)) as hdus:
        header = hdus[1].header
    assert (header["NAXIS1"] < 128) == (BOX in steps)
    assert header["WAVELNTH"] == 131


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("{seriesname}.{recnum:%lld}.{segment}", "aia.lev1_euv_12s.{recnum}.image_lev1.fits"),
        ("", "method=url"),
        ("{T_REC:A}.{WAVELNTH:%04d}.noproj", "2014-01-07T180010Z.0131.noproj"),
        ("{T_REC}_{#:%05d}", "2014-01-07T18:00:10Z_00000"),
        ("{T_REC:A1,TAI}.{FSN}.{segment}", "20140107_1800450_TAI.{fsn}.image_lev1.fits"),
        ("{CAMERA}-{segment}", "1-image_lev1.fits"),
    ],
)
def test_file_name_formats(client: Any, form: str, name: str) -> None:
    done = client().done(filenamefmt=form, max_recs="3")
    frame = records(done["data"][0]["record"], FRAMES)[0].frame("image")
    assert done["data"][0]["filename"] == name.format(recnum=frame.recnum, fsn=frame.fsn)


def test_a_file_name_that_cannot_be_made_leaves_its_file_out(client: Any) -> None:
    done = client().done(filenamefmt="x.{NOTHING}.fits")
    assert (done["count"], done["data"][0]["filename"]) == ("0", "")


@pytest.mark.parametrize(
    ("protocol", "rows", "first"),
    [
        ("jpg,CT=grey.sao,scaling=LOG,size=2", 3, b"\xff\xd8"),
        ("mpg", 1, b"\0\0\1"),
        ("mp4", 1, b""),
    ],
)
def test_pictures(client: Any, protocol: str, rows: int, first: bytes) -> None:
    asking = client()
    done = asking.done(protocol=protocol, process="n=3")
    assert (done["reqid"], "requestid" in done) == ("JSOC_20260115_001", False)
    assert len(done["data"]) == rows
    content = asking.get(f"{done['dir']}/{done['data'][0]['filename']}").content
    assert content.startswith(first)
    assert len(content) > 500


# jsoc_info.


def test_keywords_are_those_of_the_headers(client: Any) -> None:
    asking = client()
    done = asking.done()
    keys = "T_REC,T_OBS,WAVELNTH,QUALITY,EXPTIME,AECTYPE,FSN,*recnum*,*online*,NOTHING,*spec*"
    found = asking.info("rs_list", DS, key=keys, seg="image,none")
    columns = {entry["name"]: entry["values"] for entry in found["keywords"]}
    assert list(columns) == keys.split(",")
    assert set(columns["NOTHING"]) == {"Invalid KeyLink"}
    assert found["segments"][1]["values"][0] == "InvalidSegName"
    assert found["segments"][0]["values"][0].endswith("/S00000/image_lev1.fits")
    assert all(isinstance(n, int) for n in columns.pop("*recnum*"))
    assert all(isinstance(value, str) for values in columns.values() for value in values)
    row = done["data"][0]
    place = columns["*spec*"].index(row["record"])
    with fits.open(io.BytesIO(asking.get(f"{done['dir']}/{row['filename']}").content)) as hdus:
        header = hdus[1].header
    for key in ("WAVELNTH", "EXPTIME", "AECTYPE", "FSN"):
        assert float(columns[key][place]) == header[key]
    assert columns["*online*"][place] == "NA"
    assert columns["T_OBS"][place][:20] == header["T_OBS"][:20]
    by_number = asking.info("rs_summary", f"aia.lev1_euv_12s[:#{header['RECNUM']}]")
    assert by_number["count"] == 1


@pytest.mark.parametrize(
    ("ds", "count"),
    [
        ("aia.lev1_euv_12s[2014-01-07T18:00:00Z/2m][171]", 10),
        ("AIA.Lev1_EUV_12s[2014-01-07T18:00:01Z-2014-01-07T18:02:01Z][171]", 11),
        # Of a list of ISO times, JSOC reads the last alone.
        ("aia.lev1_euv_12s[2014-01-07T18:00:01Z,2014-01-07T18:00:13Z][131,171]", 2),
        ("aia.lev1_euv_12s[2014.01.07_18:00:01Z,2014.01.07_18:00:13Z][131,171]", 4),
        ("aia.lev1_euv_12s[2014-01-07T18:00:01Z/1s,2014-01-07T18:00:13Z/1s][131,171]", 4),
        # A date without an hour is read as a range of years that holds nothing.
        ("aia.lev1_euv_12s[2014-01-07][131]", 0),
        ("aia.lev1_euv_12s[2014-01-07T18:00:00Z/10m@1m][131]", 10),
        ("aia.lev1_euv_12s[2014.01.07_18:00:36_TAI/2m@60.0s][131]", 2),
        ("aia.lev1_uv_24s[2014-01-07T18:00:00Z/4m]", 20),
        ("aia.lev1_vis_1h[2014-01-07T18:00:00Z/4h]", 4),
        ("aia.lev1[2014-01-07T18:00:00Z-2014-01-07T18:01:00Z][? WAVELNTH in (171, 304) ?]", 11),
        (DS + "[? (EXPTIME > 100) AND QUALITY=0 ?]", 0),
        ("hmi.B_720s[2014.01.07_18:00_TAI/1h]", 5),
        ("hmi.sharp_720s[][2014.01.08_00:00:00_TAI/1h]", 10),
        ("hmi.sharp_cea_720s[][2014.01.08/1h][? NOAA_AR = 11944 ?]", 5),
    ],
)
def test_recordsets(client: Any, ds: str, count: int) -> None:
    assert client().info("rs_summary", ds)["count"] == count
    assert Recordset.parse(ds)


def test_the_guides_example_has_2400_images_on_second_00() -> None:
    ds = "aia.lev1[2014-02-05T08:00:00Z-2014-02-05T16:00:00Z][? WAVELNTH=171 ?]"
    found = records(ds, FRAMES)
    assert 2385 < len(found) <= 2401
    assert {record.time.second % 12 for record in found} == {0}
    assert found[-1].query().startswith("aia.lev1[2014-02-05T16:00:00Z][")


def test_series(client: Any) -> None:
    asking = client()
    struct = asking.info("series_struct", "hmi.sharp_cea_720s")
    assert struct["primekeys"] == ["HARPNUM", "T_REC"]
    assert {"Br", "magnetogram"} <= {segment["name"] for segment in struct["segments"]}
    assert {"T_REC", "QUALITY", "CDELT1"} <= {key["name"] for key in struct["keywords"]}
    missing = asking.info("series_struct", "aia.nothing")
    assert missing == {"status": 1, "error": "series not found"}
    other = asking.info("series_struct", "mdi.fd_v")
    assert (other["primekeys"], other["Interval"]["FirstRecord"]) == (["T_REC"], "NA")
    for window in (
        "mdi.fd_V[2010.01.01_TAI/1h]",
        "iris.lev1[2014-01-01T00:00:00Z/5m][? INSTRUME = 'FUV' ?]",
    ):
        assert asking.info("rs_list", window, key="T_OBS")["count"] == 0
    broken = asking.info("rs_summary", DS + "[? SUBSTRING ?]")
    assert broken["error"].startswith('ERROR:  column "substring" does not exist\nLINE 1: ...')
    found = asking.raw("show_series", filter="^aia")
    assert b"\xc5" in found.content, "not UTF-8"
    assert "aia.lev1" in [row["name"] for row in found.json()["names"]]
    assert "aia.lev1" in asking.raw("showextseries", dbhost="hmidb2").json()["seriesList"]
    empty = asking.info("rs_list", "aia.lev1_euv_12s[2009-01-07T18:00:02Z/1s][131]", key="T_REC")
    assert (empty["count"], "keywords" in empty) == (0, False)
    every = asking.info("rs_list", DS, key="**ALL**", n="-2")
    assert (every["count"], len(every["keywords"]) > 50) == (2, True)
    assert asking.info("rs_list", DS, key="**NONE**", R="1")["recinfo"][0]["name"].startswith("aia")


def test_active_regions(client: Any) -> None:
    asking = client(regions={12345: [(datetime(2015, 5, 1, tzinfo=UTC), 10.0, -5.5)]})
    keys = "ObservationTime,LatitudeHG,LongitudeCM"
    found = asking.info("rs_list", "su_rsb.NOAA_ActiveRegions[][12345]", key=keys)
    values = [entry["values"][0] for entry in found["keywords"]]
    assert values == ["2015.05.01_00:00:00_UTC", "10.000000", "-5.500000"]
    assert asking.info("rs_list", "su_rsb.NOAA_ActiveRegions[][1]", key=keys)["count"] == 0


def test_the_regions_of_a_campaign_are_where_its_flares_are(client: Any) -> None:
    # The X9.3 of 2017-09-06: HEK has it at 529, -244 arcsec, which SWPC calls S09W34.
    start = datetime(2017, 9, 6, 11, 53, tzinfo=UTC)
    flare = Flare("big", start, start + timedelta(minutes=17), None, 529.0, -244.0, 12673)
    keys = "ObservationTime,LatitudeHG,LongitudeCM"
    asked = ("rs_list", "su_rsb.NOAA_ActiveRegions[][12673]")
    entries = client(flares=[flare]).info(*asked, key=keys)["keywords"]
    times, latitudes, longitudes = (entry["values"] for entry in entries)
    seen = dict(zip(times, zip(latitudes, longitudes, strict=True), strict=True))
    latitude, longitude = map(float, seen["2017.09.07_00:00:00_UTC"])
    assert latitude == pytest.approx(-9, abs=1)
    # Half a day later it has turned by 6.7 degrees.
    assert longitude == pytest.approx(34 + 6.7, abs=1.5)
    assert all(abs(float(longitude)) < 80 for longitude in longitudes)
    assert client(flares=[replace(flare, hpc_x=None)]).info(*asked, key=keys)["count"] == 0


def of_x2(real: Path) -> Flare:
    """Return the X2.2 of 2011-02-15 as a public list has it."""
    path = real / "flares/hayesla_lists/final_flare_list_sc24.first3000.csv"
    head, *rows = csv.reader(path.read_text().splitlines())
    # The rows begin with a number, which the head does not name.
    named = (dict(zip(head, values, strict=True)) for _, *values in rows)
    row = next(row for row in named if row["goes_class"] == "X2.2")
    start, peak, end = (
        datetime.fromisoformat(row[f"event_{name}time"]).replace(tzinfo=UTC)
        for name in ("start", "peak", "end")
    )
    x, y = float(row["hpc_x"]), float(row["hpc_y"])
    return Flare("x2", start, end, peak, x, y, int(row["noaa_ar"]))


def test_the_sharp_of_a_flares_region_is_as_in_a_real_file(client: Any, real: Path) -> None:
    name = "hmi.sharp_cea_720s.377.20110215_020000_TAI.Br.fits"
    theirs = fits.getheader(real / "fits/hmi_sharp_jsoc_export" / name, 1)
    asking = client(flares=[of_x2(real)])
    ds = 'hmi.sharp_cea_720s[][2011.02.15_02:00:00_TAI/12m][? NOAA_ARS ~ "11158" ?]{Br}'
    texts = ["HARPNUM", "NOAA_AR", "NOAA_NUM", "NOAA_ARS", "T_REC"]
    places = ["CRVAL2", "LAT_FWT", "LON_FWT", "LAT_MIN", "LON_MIN", "LAT_MAX", "LON_MAX"]
    answer = asking.info("rs_list", ds, key=",".join([*texts, *places, "CRVAL1", "CRLN_OBS"]))
    assert answer["count"] == 1
    ours = {entry["name"]: entry["values"][0] for entry in answer["keywords"]}
    assert [ours[key] for key in texts] == [str(theirs[key]) for key in texts]
    for key in places:
        assert float(ours[key]) == pytest.approx(theirs[key], abs=3), key
    from_the_meridian = [float(told["CRVAL1"]) - float(told["CRLN_OBS"]) for told in (ours, theirs)]
    assert from_the_meridian[0] == pytest.approx(from_the_meridian[1], abs=2)
    # The field of its two feet is in the patch.
    done = asking.done(ds=ds, filenamefmt="hmi.sharp_cea_720s.{HARPNUM}.{T_REC:A}.{segment}")
    assert [row["filename"] for row in done["data"]] == [name]
    with fits.open(io.BytesIO(asking.get(f"{done['dir']}/{name}").content)) as hdus:
        field = hdus[1].data
        middle = field[field.shape[0] // 4 : -field.shape[0] // 4]
        assert min(abs(np.nanmin(middle)), np.nanmax(middle)) > 500
        assert hdus[1].header["NOAA_AR"] == theirs["NOAA_AR"]


def test_sharps_are_there_while_their_region_is_on_the_disk(client: Any) -> None:
    start = datetime(2017, 9, 6, 11, 53, tzinfo=UTC)
    place = (529.0, -244.0)
    flares = [
        Flare(f"f{region}", start, start + timedelta(minutes=17), None, *place, region)
        for region in (12673, 12674, 9077)
    ]
    asking = client(flares=flares)
    on_disk = "hmi.sharp_720s[][2017.09.{}_12:00:00_TAI/12m]"
    seen = asking.info("rs_list", on_disk.format("06"), key="HARPNUM,NOAA_AR,*recnum*,*sunum*")
    harps, regions, recnums, _ = (entry["values"] for entry in seen["keywords"])
    assert {"12673", "12674"} < {*regions}, "and two more, which are of no flare"
    assert len({*harps}) == len({*recnums}) == len(harps) == 4
    for harpnum, recnum in zip(harps, recnums, strict=True):
        again = asking.info("rs_list", f"hmi.sharp_720s[:#{recnum}]", key="HARPNUM")
        assert again["keywords"][0]["values"] == [harpnum]
    number = harps[regions.index("12673")]
    every = asking.info("rs_list", f"hmi.sharp_720s[{number}]", key="T_REC", n="1")
    assert every["keywords"][0]["values"][0].startswith("2017.08.2")
    (path,) = asking.info("rs_list", f"hmi.sharp_720s[{number}][2017.09.06_12:00:00_TAI]",
                          key="T_REC", seg="magnetogram")["segments"][0]["values"]  # fmt: skip
    assert asking.get(path).status_code == 200
    later = asking.info("rs_list", on_disk.format("12"), key="NOAA_AR")
    assert "12673" not in later["keywords"][0]["values"], "behind the limb"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("a.b@c.edu", 2),
        (quote_plus("a.b@c.edu"), 2),
        ("pending@c.edu", 3),
        ("unregistered@c.edu", 4),
        ("a@b", -2),
        ("", -2),
    ],
)
def test_addresses(client: Any, address: str, status: int) -> None:
    answer = client().raw("checkAddress.sh", address=address, checkonly="1").json()
    assert answer["status"] == status


# Faults.


def test_limits_are_arguments(client: Any) -> None:
    asking = client(limits=Limits(aia_records=10, megabytes=100, megabytes_per_file=1.0))
    assert "limit of 10" in asking.ask()["error"]
    assert asking.ask(max_recs="5")["status"] == 2


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (Fault("status", "jsoc_fetch exp_request", 1, code=500, retry_after=3),
         lambda r: (r.status_code, r.headers["Retry-After"]) == (500, "3")),
        (Fault("html", "jsoc_fetch", 1), lambda r: r.status_code == 200 and "<html>" in r.text),
        (Fault("notjson", "exp_request", 1), lambda r: "cannot connect" in r.text),
        (Fault("jsoc", "exp_request", 1, code=7, text="User x has 1"),
         lambda r: r.json() == {"status": 7, "error": "User x has 1"}),
        (Fault("empty", "exp_request", 1), lambda r: r.content == b""),
        (Fault("cut_unannounced", "exp_request", 1), lambda r: 0 < len(r.content) < 90),
    ],
)  # fmt: skip
def test_faults_of_the_cgi(client: Any, fault: Fault, check: Callable[..., bool]) -> None:
    asking = client(faults=[fault])
    assert check(asking.raw("jsoc_fetch", **ASKED))
    asking.clock.now += HOUR
    assert asking.ask()["status"] == 2
    assert asking.server.asked["jsoc_fetch exp_request"] == 2
    endpoint, args = asking.server.calls[-1]
    assert (endpoint, args["ds"]) == ("jsoc_fetch", ASKED["ds"])


@pytest.mark.parametrize("kind", ["cut", "cut_chunked", "reset"])
def test_connections_that_break(client: Any, kind: str) -> None:
    asking = client(faults=[Fault(kind, "exp_request", 1)])
    with pytest.raises(requests.RequestException):
        asking.raw("jsoc_fetch", **ASKED)
    asking.clock.now += HOUR
    assert asking.ask()["status"] == 2


@pytest.mark.parametrize("kind", ["no_range", "wrong_range", "other", "cut_unannounced"])
def test_faults_of_files(client: Any, kind: str) -> None:
    asking = client()
    done = asking.done()
    path = f"{done['dir']}/{done['data'][0]['filename']}"
    whole = asking.get(path).content
    asking.server.faults.append(Fault(kind))
    got = asking.get(path, Range="bytes=5000-")
    expected = {
        "no_range": (200, whole),
        "wrong_range": (206, whole[2500:]),
        "cut_unannounced": (206, whole[5000 : 5000 + (len(whole) - 5000) // 2]),
    }
    if kind in expected:
        assert (got.status_code, got.content) == expected[kind]
    else:
        other = asking.get(path)
        assert (other.status_code, other.content != whole) == (200, True)


@pytest.mark.parametrize(
    ("kind", "names"),
    [("missing", None), ("nodata", "NoDataFile"), ("noname", "")],
)
def test_faults_of_exports(client: Any, kind: str, names: str | None) -> None:
    asking = client(faults=[Fault(kind, "18:01:01Z", times=1)])
    done = asking.done()
    struck = [r["filename"] for r in done["data"] if "18:01:01Z" in r["record"]]
    assert struck == ([] if names is None else [names])
    whole = asking.done(filenamefmt="other." + NAMES)
    assert int(whole["count"]) == int(done["count"]) + 1


def test_a_process_that_jsoc_does_not_do(client: Any) -> None:
    asking = client(faults=[Fault("unprocessed")])
    done = asking.done(process=f"n=0|{BOX}")
    content = asking.get(f"{done['dir']}/{done['data'][0]['filename']}").content
    with fits.open(io.BytesIO(content)) as hdus:
        assert hdus[1].header["NAXIS1"] == 128


def test_finished_but_no_index_yet(client: Any) -> None:
    asking = client(faults=[Fault("noindex", times=2)])
    asking.ask()
    asking.clock.now += 30
    answers = [asking.status("JSOC_20260115_001") for _ in range(3)]
    assert [answer["status"] for answer in answers] == [4, 4, "0"]
    assert answers[0]["error"].endswith("return index.json file not found")
