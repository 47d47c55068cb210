import json
from pathlib import Path

import pytest

from flareset.archive.responses import (
    Answer,
    InfoKind,
    Registration,
    State,
    classify_info,
    mark_retry,
    read_answer,
    read_object,
    read_registration,
    strip_retry,
    whole_or_0,
)
from flareset.sdo.protocols import kind_of_protocol

RICE = "FITS,compress Rice"
# Recorded in public, or the texts of jsoc_fetch.c; each with what is read from it.
REAL = [
    (
        '{"status":2,"requestid":"JSOC_20140325_334","method":"url","protocol":"FITS,compress'
        ' Rice","wait":10,"rcount":4241,"size":64080}',
        {"status": 2, "requestid": "JSOC_20140325_334", "count": 4241, "size": 64080},
    ),
    (
        '{"status": 2, "protocol": "FITS,compress Rice", "rcount": 2, "requestid":'
        ' "JSOC_20140325_336", "size": 30, "method": "url", "wait": 10}',
        {"status": 2, "protocol": RICE, "method": "url", "count": 2, "size": 30},
    ),
    (
        '{"requestid":"VOID","method":"url","protocol":"FITS,compress Rice","wait":0,"status":3,'
        '"count":12850,"size":194300,"error":"Request exceeds max byte limit of 100000MB"} ',
        {
            "status": 3,
            "requestid": "",
            "count": 12850,
            "error": "Request exceeds max byte limit of 100000MB",
        },
    ),
    (
        '{"status":7,"error":"User <email> has 1 pending export requests (JSOC_20210517_1234);'
        ' please wait"}',
        {"status": 7, "requestid": "", "data": []},
    ),
    (
        '{"status":1,"requestid":"JSOC_20140325_334","method":"url","protocol":"FITS,compress'
        ' Rice","wait":-35,"rcount":0,"size":64080}',
        {"status": 1, "count": 0, "size": 64080},
    ),
    (
        '{"status":4,"error":"Bad record-set query \'x\'.\\n"}',
        {"status": 4, "error": "Bad record-set query 'x'."},
    ),
    (
        r'{"rcount":1,"count":2,"size":9,"dir":"","data":[{"record":"hmi.v_45s[2015.05.01_'
        r'00:00:45_TAI][2]{Dopplergram}","filename":"\/SUM58\/D803708321\/S00008\/Dopplergram'
        r'.fits"}],"requestid":"","method":"url_quick","protocol":"as-is","wait":0,"status":0}',
        {
            "status": 0,
            "requestid": "",
            "method": "url_quick",
            "protocol": "as-is",
            "data": [
                (
                    "hmi.v_45s[2015.05.01_00:00:45_TAI][2]{Dopplergram}",
                    "/SUM58/D803708321/S00008/Dopplergram.fits",
                )
            ],
        },
    ),
    (
        '{"status":"0","reqid":"JSOC_20150101_001","filefmt":"mpg,CT=aia_131.lut","count":"1",'
        '"data":[{"record":"movie","filename":"x.mpg"}]}',
        {"requestid": "JSOC_20150101_001", "protocol": "mpg,CT=aia_131.lut", "count": 1},
    ),
]


@pytest.mark.parametrize(("text", "expected"), REAL)
def test_real_answers(text: str, expected: dict[str, object]) -> None:
    found = vars(read_answer(text))
    assert {key: found[key] for key in expected} == expected
    # Finished exports have the same as text.
    values = json.loads(text)
    as_text = {k: str(v) if isinstance(v, int) else v for k, v in values.items()}
    assert vars(read_answer(json.dumps(as_text, indent="\t"))) == found


@pytest.mark.parametrize(
    ("sample", "requestid", "method", "protocol", "count", "size"),
    [
        ("s1", "JSOC_20260115_0123", "url", "fits", 3, 27),
        ("s2", "JSOC_20260115_0123", "url-tar", "fits", 3, 27),
        ("s3", "JSOC_20260115_0124", "url", "as-is", 1, 8),
        ("s4", "JSOC_20260115_0125", "url", "fits", 0, 0),
    ],
)
def test_lists_of_finished_exports(
    real: Path, sample: str, requestid: str, method: str, protocol: str, count: int, size: int
) -> None:
    text = (real / "jsoc/index_samples" / sample / "index.json").read_text()
    found = read_answer(text)
    assert (found.status, found.requestid, found.error) == (0, requestid, "")
    assert (found.method, found.protocol, found.count, found.size) == (
        method, protocol, count, size,
    )  # fmt: skip
    assert found.folder.startswith("/SUM12/D123456789")
    assert found.tarfile == (f"{found.folder}/{requestid}.tar" if sample == "s2" else "")
    assert found.exptime == ("" if sample == "s3" else "2026.01.15_10:20:30_UT")
    assert found.data == [(r["record"], r["filename"]) for r in json.loads(text)["data"]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html><title>500 Internal Server Error</title></html>",
        "[]",
        "3",
        "null",
        '{"count":1}',
        '{"status":',
        '{"status":null}',
        '{"status":"done"}',
        '{"status":[]}',
        '{"status":0,"data":{"record":"x"}}',
        '{"status":0,"data":["x"]}',
        '{"status":0,"data":[{"record":"x"}]}',
        '{"status":0,"data":[null]}',
    ],
)
def test_what_is_no_answer(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_answer(text)


def test_the_requests_that_a_refusal_names() -> None:
    text = "User A has 2 pending export requests (JSOC_20210517_034,JSOC_20210517_1035_X_IN); wait"
    assert Answer(7, error=text).named == ["JSOC_20210517_034", "JSOC_20210517_1035_X_IN"]
    assert Answer(7, error="There are too many requests from 127.0.0.1").named == []


def test_the_state_of_every_recorded_answer(real: Path) -> None:
    """By the notes of the requests, and by what the database says of the finished ones."""
    states = {
        2: State.PENDING, 4: State.FAILED, 7: State.BLOCKED, 25: State.OFFLINE, 0: State.DONE
    }  # fmt: skip
    found = []
    for row in json.loads((real / "jsoc/recorded/fetch_requests.json").read_text()):
        if row["request"].get("op") == "exp_request" and (answer := row["real"].get("json")):
            read = read_answer(json.dumps(answer))
            found.append(read.state)
            assert read.state is states[read.status]
            assert (read.state is State.OFFLINE) == ("offline" in row["note"] + read.error)
            blocked = row["note"].startswith("pending: ") and "first" not in row["note"]
            assert (read.state is State.BLOCKED) == blocked
    assert set(found) == set(states.values())
    for row in json.loads((real / "jsoc/recorded/exports_finished.json").read_text()):
        # The rows of long ones are cut.
        told_of = {key: value for key, value in row["exp_status"].items() if key != "data"}
        state = read_answer(json.dumps(told_of)).state
        assert state is {"0": State.DONE, "4": State.FAILED}[row["db_status"]]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ('{"status":3,"error":"Request exceeds max byte limit of 100000MB"}', State.TOO_LARGE),
        ('{"status":5,"error":"Export Request has expired"}', State.EXPIRED),
        ('{"status":6,"error":"not found"}', State.UNKNOWN),
        ('{"status":12}', State.PENDING),
        ('{"status":4,"error":"Cant get new RequestID"}', State.TROUBLE),
        ('{"status":4,"error":"return index.json file not found"}', State.TROUBLE),
        (
            '{"status":4,"error":"jsoc_fetch did not return a known status code (code 25)"}',
            State.OFFLINE,
        ),
        ('{"status":4,"error":"Bad record-set query"}', State.FAILED),
        ('{"status":99}', State.FAILED),
    ],
)
def test_states(text: str, state: State) -> None:
    assert read_answer(text).state is state


def test_the_rows_of_an_answer() -> None:
    rows = [
        ("warning=No FITS files were exported.", ""),
        ("a[1]{image}", "NoDataFile"),
        ("a[2]{image}", " "),
        ("a[3]{image}", "a.fits"),
    ]
    answer = Answer(0, data=rows)
    assert answer.warnings == ["No FITS files were exported."]
    assert answer.without_file == ["a[1]{image}"]
    assert answer.files == [("a[2]{image}", ""), ("a[3]{image}", "a.fits")]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (2, Registration.REGISTERED),
        ("3", Registration.WAITING),
        (4, Registration.UNKNOWN),
        (-2, Registration.MALFORMED),
        (-1, Registration.NOT_NOW),
    ],
)
def test_what_is_said_of_an_address(status: object, said: Registration) -> None:
    assert read_registration({"status": status, "msg": "x"}) is said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"count":1,"status":0}', InfoKind.ANSWERED),
        ('{"count":1,"status":"0"}', InfoKind.ANSWERED),
        ('{"status":1,"error":"series not found"}', InfoKind.REFUSED),
        ("status=4\nerror=Illegal text in arg: ';' not allowed\n", InfoKind.REFUSED),
        ('{"status":-1}', InfoKind.STORAGE_DOWN),
    ],
)
def test_what_is_said_to_a_question(text: str, said: InfoKind) -> None:
    assert classify_info(read_object(text)) is said


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("FITS", "fits"),
        ("fits", "fits"),
        (RICE, "fits"),
        ("FITS, compress Rice", "fits"),
        ("FITS,**NONE**", "fits"),
        ("as-is", "as-is"),
        ("JPEG", "jpg"),
        ("jpg,CT=aia_131.lut,scaling=LOG,size=4", "jpg"),
        ("MPG,min=-1.5,max=2000,CT=grey.sao,scaling=MINMAXGIVEN,size=8", "mpg"),
        ("mp4", "mp4"),
        ("png", None),
        ("FITS,gzip", None),
        ("jpg,size=3", None),
        ("jpg,colour=red", None),
        ("", None),
    ],
)
def test_protocols(text: str, kind: str | None) -> None:
    assert kind_of_protocol(text) == kind


def test_another_name_for_the_same_request() -> None:
    assert mark_retry(0, "x.{segment}") == "x.{segment}"
    assert strip_retry(mark_retry(3, "x.{segment}")) == "x.{segment}"
    assert strip_retry("aia.again2.fits") == "aia.again2.fits"


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3), ("3", 3), ("3.7", 3), ("", 0), (None, 0), ("many", 0), ("nan", 0), ("inf", 0)],
)
def test_counts(value: object, number: int) -> None:
    assert whole_or_0(value) == number
