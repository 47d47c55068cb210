"""The stand-in answers as JSOC's real software did: the same requests, the same answers.

What is of the machine that answered alone is in EXCEPTIONS, each with its reason.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import recorded
import requests
from support.needs import REAL

from flareset.standin.server import Limits, StandIn, running

JOBS = "the job did not end as it should have on that machine: "
# What is not compared: file, a pattern for its row (RequestID, note or recordset), fields, reason.
EXCEPTIONS = [
    ("*", "", "runtime", "how long that machine took"),
    ("*", "", "requestid", "that machine's count; its internal database adds _IN"),
    ("*", "", "exptime", "when that machine was done"),
    ("exports_finished", "", "dir keywords tarfile", "a folder of that machine"),
    ("fetch_requests", r"^\[\$\]|q=1", "size", "that machine's estimate of one tiny storage unit"),
    ("exports_finished", "_056_", "count size data folder",
     JOBS + "no file of four accepted records, and nobody knows why"),
    ("exports_finished", "_084_|_085_|_086_|_087_|_088_", "status error *",
     JOBS + "its processing was not set up yet"),
    ("exports_finished", "_090_", "status error *", JOBS + "its jsoc_rebin crashed"),
]  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row of a recorded file."""

    file: str
    number: int
    data: dict[str, Any]

    @property
    def called(self) -> str:
        """What exceptions name the row by."""
        parts = [self.data.get(key) for key in ("requestid", "note", "ds", "spelling")]
        return " ".join(filter(None, parts)) or self.data.get("request", {}).get("ds", "")

    def excepted(self) -> set[str]:
        """Return the fields that are not compared."""
        return {
            field
            for file, pattern, fields, _ in EXCEPTIONS
            if file in ("*", self.file) and re.search(pattern, self.called)
            for field in fields.split()
        }


def rows(*files: str) -> list[Any]:
    """Return the rows of recorded files as parameters; a single one if the files are missing."""
    if not REAL.is_dir():
        return [pytest.param(None, id="missing")]
    found = []
    for file in files:
        for number, data in enumerate(recorded.rows(REAL, file)):
            row = Row(file, number, data)
            found.append(pytest.param(row, id=f"{file}-{number}"))
    return found


class Client:
    """Asks a stand-in that holds the records of that machine."""

    def __init__(self, server: StandIn) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False
        self._counted: dict[str, list[str]] = {}

    def ask(self, endpoint: str, method: str, form: dict[str, str]) -> requests.Response:
        place = {"data" if method == "POST" else "params": form}
        return self.session.request(method, self.server.cgi_url + endpoint, **place)

    def counted(self, ds: str) -> list[str]:
        """Return the T_RECs of a recordset."""
        if ds not in self._counted:
            form = {"op": "rs_list", "ds": ds, "key": "T_REC"}
            answer = self.ask("jsoc_info", "POST", form).json()
            self._counted[ds] = answer["keywords"][0]["values"] if answer["count"] else []
        return self._counted[ds]


class Clock:
    """A clock that tests move."""

    now = datetime(2026, 11, 26, 11, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def holdings(real: Path) -> list[dict[str, Any]]:
    return recorded.holdings(real)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def client(holdings: list[dict[str, Any]], clock: Clock) -> Iterator[Client]:
    server = StandIn(
        frame_size=256,
        holdings=holdings,
        clock=clock,
        delay=10,
        limits=Limits(megabytes_per_file=46079 / 2**20),
    )
    with running(server):
        made = Client(server)
        yield made
        made.session.close()


def same(told: Any, answered: Any, dropped: set[str] = frozenset()) -> bool:
    """Return whether an answer is the recorded one, whose long lists are cut in the middle."""
    if isinstance(told, dict):
        if not isinstance(answered, dict) or [*told] != [*answered]:
            return False
        return all(key in dropped or same(told[key], answered[key], dropped) for key in told)
    if not isinstance(told, list):
        return type(told) is type(answered) and plain(told) == plain(answered)
    cut = [n for n, value in enumerate(told) if recorded.CUT.fullmatch(str(value))]
    if not isinstance(answered, list):
        return False
    if cut:
        if len(answered) != int(recorded.CUT.fullmatch(told[cut[0]])[1]):
            return False
        left, right = told[: cut[0]], told[cut[0] + 1 :]
        told, answered = left + right, answered[: len(left)] + answered[-len(right) :]
    pairs = zip(told, answered, strict=False)
    return len(told) == len(answered) and all(same(a, b, dropped) for a, b in pairs)


def plain(value: Any) -> Any:
    """Return a value with all RequestIDs replaced by the same one."""
    return re.sub(r"JSOC_\d{8}_\d+(_IN)?", "JSOC_ID", value) if isinstance(value, str) else value


def differences(told: Any, answered: Any) -> str:
    """Both, to look at."""
    return f"\ntold     {json.dumps(told)[:3000]}\nanswered {json.dumps(answered)[:3000]}"


def check(row: Row, answer: requests.Response) -> None:
    """Check that an answer is the recorded one: status, media type, shape, types and values."""
    told = row.data["real"]
    assert (answer.status_code, answer.headers["Content-Type"]) == (told["http"], told["type"])
    if told["json"] is None:
        assert plain(answer.text) == plain(told["text"])
    else:
        assert same(told["json"], answer.json(), row.excepted()), differences(
            told["json"], answer.json()
        )
        # The head of the text may end within a number.
        assert spaces(answer.text).startswith(spaces(told["raw_head"].rstrip("0123456789")))


def spaces(text: str) -> str:
    """Return the layout of a text, in which digits do not count."""
    return re.sub(r"\d+", "0", plain(text))


@pytest.mark.parametrize("row", rows("info_recordsets", "info_lists", "info_ops"))
def test_jsoc_info(client: Client, row: Row) -> None:
    check(row, client.ask("jsoc_info", row.data["method"], row.data["request"]))


@pytest.mark.parametrize("name", ["all_keys", "six_records"])
def test_all_keywords_of_a_record(real: Path, client: Client, name: str) -> None:
    told = json.loads(recorded.text(real, f"direct/{name}.json"))
    (t_rec, *_), *_ = (key["values"] for key in told["keywords"])
    link = {"link": "lev1"} if told["links"] else {}
    form = {"op": "rs_list", "ds": f"{recorded.SERIES}[{t_rec}/{told['count']}u][131]"}
    answer = client.ask("jsoc_info", "GET", {**form, "key": "**ALL**", "seg": "image", **link})
    assert same(told, answer.json(), {"runtime"}), differences(told, answer.json())


def test_a_series_structure_letter_for_letter(real: Path, client: Client) -> None:
    told = recorded.text(real, "direct/series_struct.json")
    answer = client.ask("jsoc_info", "GET", {"op": "series_struct", "ds": recorded.SERIES})
    assert re.sub('"runtime": .*', "", answer.text) == re.sub('"runtime": .*', "", told)


@pytest.mark.parametrize("row", rows("list_limits_jsoc_info"))
def test_the_longest_lists_of_jsoc_info(client: Client, row: Row) -> None:
    spelled = {
        "dotted Z list": ("[2014.01.07_15:07:01Z", "][131]"),
        "dotted _UTC list": ("[2014.01.07_15:07:01_UTC", "][131]"),
        "dotted _TAI list": ("[2014.01.07_15:07:36_TAI", "][131]"),
        "ISO Z /1s spans": ("[2014-01-07T15:07:01Z/1s", "][131]"),
        "recnum [:#..]": ("[:#1157589351", "]"),
        "? recnum in": ("[? recnum in (1157589351", ") ?]"),
        "! recnum in": ("[! recnum in (1157589351", ") !]"),
    }
    (begin, end), most = spelled[row.data["spelling"]], row.data["most_records_exact"]
    sample = re.search(r"[#\d][^(]*$", begin)[0]
    begin = recorded.SERIES + begin.removesuffix(sample)
    numbers = [(n, when) for n, w, when in recorded.slots() if w == 131 and n >= 85]
    items = [recorded.spelled(n, when, sample) for n, when in numbers[: most + 1]]
    longest, longer = (begin + ",".join(part) + end for part in (items[:-1], items))
    assert len(longest) == row.data["length_of_ds"]
    wanted = [f"{when:%Y-%m-%dT%H:%M:%S}Z" for _, when in numbers[:most]]
    assert client.counted(longest) == wanted
    answer = client.ask("jsoc_info", "POST", {"op": "rs_list", "ds": longer, "key": "T_REC"})
    # The numbers in the excerpt are those of the records that were asked for.
    told = spaces(row.data["next_fails_with"])
    assert spaces(answer.text)[: len(told) - 12] == told[:-12]


TIME = r"[\dT:Z_TAI.]+?|\d{4}-\d\d-\d\dT[\d:]+Z"
WINDOW = re.compile(
    rf"(?P<series>[\w.]+)\[(?P<begin>{TIME})(?:/(?P<span>\d+)s|-(?P<end>{TIME}))"
    r"(?P<cadence>@\d+s)?\](?P<more>.*)"
)


def moment(text: str) -> datetime:
    """Return a time of the recorded recordsets, in its own zone."""
    return datetime.fromisoformat(re.sub(r"_TAI|Z", "", text).replace("_", "T").replace(".", "-"))


def spelled(when: datetime, like: str) -> str:
    """Return a time in the spelling of another."""
    layout = "%Y.%m.%d_%H:%M:%S_TAI" if like.endswith("_TAI") else "%Y-%m-%dT%H:%M:%SZ"
    return when.strftime(layout)


def pieces(data: dict[str, Any]) -> list[str]:
    """Return the parts of a recordset: two were recorded, and the others are like them."""
    whole, one, two = (WINDOW.fullmatch(data[key]) for key in ("ds", "first_part", "second"))
    begins = [moment(one["begin"]) + n * (moment(two["begin"]) - moment(one["begin"]))
              for n in range(data["parts"])]  # fmt: skip
    if whole["end"]:
        close = moment(whole["end"])
        ends = [*(begin - timedelta(seconds=1) for begin in begins[1:]), close]
        spans = [f"-{spelled(end, whole['begin'])}" for end in ends]
    else:
        close = begins[0] + timedelta(seconds=int(whole["span"]))
        ends = [*begins[1:], close]
        spans = [f"/{(end - begin).seconds}s" for begin, end in zip(begins, ends, strict=True)]
    made = [
        f"{whole['series']}[{spelled(begin, whole['begin'])}{span}{whole['cadence'] or ''}]"
        f"{whole['more']}"
        for begin, span in zip(begins, spans, strict=True)
    ]
    assert made[:2] == [data["first_part"], data["second"]]
    return made


@pytest.mark.parametrize("row", rows("split_on_real"))
def test_parts_of_a_recordset(client: Client, row: Row) -> None:
    whole = client.counted(row.data["ds"])
    parts = [t_rec for piece in pieces(row.data) for t_rec in client.counted(piece)]
    counted = {
        "whole": len(whole),
        "sum_of_parts": len(parts),
        "doubles": len(parts) - len({*parts}),
        "missing": len({*whole} - {*parts}),
        "more": len({*parts} - {*whole}),
    }
    assert counted == {key: row.data[key] for key in counted}


# Seconds from T_REC to T_OBS of most images, as the recorded windows count them.
OFFSETS = {"94": 2, "131": 9, "171": 11, "193": 7, "211": 1, "304": 8, "335": 4}


@pytest.mark.parametrize("row", rows("window_recordset_on_real"))
def test_what_a_window_as_a_span_loses(client: Client, row: Row) -> None:
    found = client.counted(row.data["ds"])
    assert (found[0], found[-1]) == (row.data["first"], row.data["last"])
    begin, end = (datetime.fromisoformat(row.data[key][:19]) for key in ("begin", "end"))
    there = {moment(t_rec) for t_rec in found}
    known = [when for _, wavelength, when in recorded.slots() if wavelength == 131]
    lost = {
        channel: sum(
            begin <= when + timedelta(seconds=late) < end for when in known if when not in there
        )
        for channel, late in OFFSETS.items()
    }
    assert lost == row.data["lost_by_offset"]
    late = {datetime.fromisoformat(text[:19]) for text in row.data["lost_131_by_T_OBS"]}
    assert late <= {*known} - there


@pytest.mark.parametrize("row", rows("window_recordset_hmi_on_real"))
def test_what_a_window_of_hmi_loses(client: Client, row: Row) -> None:
    found = [moment(t_rec) for t_rec in client.counted(row.data["ds"])]
    tai = timedelta(seconds=35)
    lost = [datetime.fromisoformat(text[:19]) + tai for text in row.data["lost"]]
    step = timedelta(seconds=45)
    assert lost == [found[-1] + (n + 1) * step for n in range(len(lost))]
    end = datetime.fromisoformat(row.data["end"][:19]) + tai
    assert found[-1] + (len(lost) + 1) * step > end


# jsoc_fetch.


def earlier(real: Path, row: Row) -> dict[str, str] | None:
    """Return the request that began the export named in a row's answer, if it was another one."""
    ids = re.findall(r"JSOC_\d{8}_\d+_IN", json.dumps(row.data["real"]["json"]))
    if not ids or row.data["real"]["json"]["status"] == 25:
        return None
    begun = [
        data["request"]
        for data in recorded.rows(real, row.file)[: row.number]
        if (data["real"]["json"] or {}).get("requestid") == ids[0]
    ]
    if begun:
        return begun[0]
    made = next(data for data in finished(real) if data["requestid"] == ids[0])
    form = request_of(made)
    plain_ds = (row.data["request"]["ds"], row.data["request"].get("q"))
    other = row.data["real"]["json"].get("wait") == 0
    return form if other and (form["ds"], form.get("q")) != plain_ds else None


def finished(real: Path) -> list[dict[str, Any]]:
    return recorded.rows(real, "exports_finished")


def request_of(made: dict[str, Any]) -> dict[str, str]:
    """Return the request of a finished export, whose recordset has JSOC's filter."""
    dataset = made["dataset"].rpartition("|")[2]
    ds = dataset.replace("[? drms.image_exists(quality) ?]", "")
    form = {
        "op": "exp_request", "ds": ds, "method": made["method"], "protocol": made["protocol"],
        "process": made["process"], "filenamefmt": made["filenamefmt"], "format": "json",
        "notify": "helper@example.edu", "requestor": "flareset",
    }  # fmt: skip
    if made["process"] == "Not Specified":
        del form["process"]
    if ds == dataset and "quality" not in ds.lower():
        form["q"] = "1"
    return form


@pytest.fixture
def archive(client: Client, clock: Clock) -> Client:
    """Return the stand-in, days after its last request."""
    clock.now += 10 * 86400
    return client


@pytest.mark.parametrize("row", rows("fetch_requests", "fetch_lists", "fetch_lists_4kB"))
def test_jsoc_fetch(real: Path, archive: Client, clock: Clock, row: Row) -> None:
    first = earlier(real, row)
    if first is not None:
        begun = archive.ask("jsoc_fetch", "POST", first).json()
        assert begun["status"] == 2
        if row.data["real"]["json"]["status"] != 7:
            clock.now += 30
    answer = archive.ask("jsoc_fetch", row.data["method"], row.data["request"])
    check(row, answer)
    if first is not None:
        assert begun["requestid"] in answer.text


def begin(real: Path, archive: Client, requestid: str) -> dict[str, Any]:
    """Return the answer to the request of an export that was recorded when it was finished."""
    asked = [
        (data["method"], data["request"])
        for file in ("fetch_requests", "fetch_lists", "fetch_lists_4kB")
        for data in recorded.rows(real, file)
        if (answer := data["real"]["json"] or {}).get("requestid") == requestid and answer["wait"]
    ]
    made = next(data for data in finished(real) if data["requestid"] == requestid)
    method, form = (asked or [("POST", request_of(made))])[0]
    answer = archive.ask("jsoc_fetch", method, {**form, "format": "json"}).json()
    assert answer["status"] == 2, answer
    return answer


def ask_status(archive: Client, requestid: str) -> requests.Response:
    form = {"op": "exp_status", "requestid": requestid}
    return archive.ask("jsoc_fetch", "GET", form)


@pytest.mark.parametrize("row", rows("exports_finished"))
def test_exports_when_they_are_finished(
    real: Path, archive: Client, clock: Clock, row: Row
) -> None:
    begun = begin(real, archive, row.data["requestid"])
    clock.now += 30
    answer = ask_status(archive, begun["requestid"])
    excepted = row.excepted()
    if "*" not in excepted:
        told = row.data["exp_status"]
        assert same(told, answer.json(), excepted), differences(told, answer.json())
    if "folder" not in excepted and "dir" in answer.json():
        url = archive.server.url + answer.json()["dir"]
        names = [name for name in row.data["folder"] if not recorded.CUT.match(name)]
        for name in names:
            own = name.replace(row.data["requestid"], begun["requestid"])
            assert archive.session.head(f"{url}/{own}").status_code == 200, name


@pytest.mark.parametrize("row", rows("list_exports_result"))
def test_exports_of_lists(real: Path, archive: Client, clock: Clock, row: Row) -> None:
    told = row.data
    asked = next(
        data["request"]
        for file in ("fetch_lists", "fetch_lists_4kB")
        for data in recorded.rows(real, file)
        if data["note"] == told["note"]
    )
    response = archive.ask("jsoc_fetch", "POST", asked)
    if "answer" in told:
        assert (told["answer"], response.status_code) == ("HTTP 500 (crash)", 500)
        return
    assert response.json()["rcount"] == told["accepted_rcount"]
    clock.now += 30
    answer = ask_status(archive, response.json()["requestid"]).json()
    files = [entry["filename"] for entry in answer.get("data", [])]
    counted = {
        "final_status": answer["status"],
        "error": answer.get("error"),
        "files": len({*files}),
        "missing": told["wanted"] - len(files),
    }
    assert counted == {key: told[key] for key in counted}


INDEX = sorted(path.name for path in (REAL / recorded.FOLDER / "index").glob("*"))


def bare(text: str) -> str:
    """Return an index file without RequestID, folder and time, which differ between exports."""
    text = re.sub(r"\\?/SUM\d+\\?/D\d+\\?/S\d+", "/SUM/D/S", plain(text))
    return re.sub(r"\d{4}\.\d\d\.\d\d_[\d:]{8}_UT", "_UT", text)


@pytest.mark.parametrize("name", INDEX or [None])
def test_index_files_letter_for_letter(
    real: Path, archive: Client, clock: Clock, name: str
) -> None:
    begun = begin(real, archive, f"JSOC_20261126_{name[:3]}_IN")
    clock.now += 30
    folder = ask_status(archive, begun["requestid"]).json()["dir"]
    answer = archive.session.get(f"{archive.server.url}{folder}/{name[4:]}")
    assert bare(answer.text) == bare(recorded.text(real, f"index/{name}"))
