"""Flare lists of other servers: asked for with manners, pinned, refreshed, and refused if wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from support.factories import EUV

from flareset.archive.connections import USER_AGENT, Connections
from flareset.archive.endpoints import Site
from flareset.archive.pins import Pins
from flareset.archive.transfer import Transfer
from flareset.campaign.access import Access
from flareset.campaign.campaign import Campaign
from flareset.campaign.config import Archive
from flareset.errors import EventsError, IntakeError, StoreError, TransferError
from flareset.intake.asking import Asker, differences, fetch_pages
from flareset.intake.flares import events_text, flares_text
from flareset.intake.outcome import Cleaning, take_in
from flareset.intake.reading import read_list
from flareset.intake.selection import Wanted
from flareset.sdo.flares import Flare
from flareset.standin.hek import HEK, answer
from flareset.standin.server import Fault, StandIn
from flareset.store.store import Store

BEGIN, END = datetime(2014, 1, 1, tzinfo=UTC), datetime(2014, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONTH = {"event_type": "FL", "event_starttime": f"{BEGIN:%FT%T}", "event_endtime": f"{END:%FT%T}"}
LIST = "start,peak,end,goes_class\n2014-01-07 18:04,2014-01-07 18:32,2014-01-07 18:58,X1.2\n"


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def asker(tmp_path: Path, opened: ExitStack) -> Callable[..., Asker]:
    """Makes an asker whose clock of the pins goes on by an hour with each pin."""
    hours = iter(range(1000))

    def make(**over: object) -> Asker:
        patience = timedelta(seconds=1)
        access = Access(
            archive=Archive(kind="jsoc", patience=patience, cgi_url="http://127.0.0.1/")
        )
        site = Site(access, "http://127.0.0.1", "http://127.0.0.1", tmp_path / "store", opened)
        pins = Pins(tmp_path / "store/queries", now=lambda: END + next(hours) * HOUR)
        return Asker(pins, lambda: site, **over)

    return make


def fetched(server: StandIn, folder: Path, **over: object) -> list[Path]:
    """Return the pages of January 2014, fetched without a pause."""
    connections = Connections(server.url, 1, patience=2.0, folder=folder / "meet", sleep=bool)
    transfer = Transfer(
        server.url, [], connections=connections, max_file_size=10**8, pages=True, sleep=bool, **over
    )
    pages = folder / "pages"
    pages.mkdir(parents=True)
    try:
        fetch_pages(transfer, f"{HEK}?{urlencode({'cmd': 'search', **MONTH})}", pages)
    finally:
        connections.close()
    return sorted(pages.iterdir())


# The stand-in


def test_the_stand_in_has_the_keys_of_a_real_answer(real: Path) -> None:
    path = real / "flares/arccnet/hek_result_20120101_20120103.derived.json"
    observed = json.loads(path.read_text())
    made = json.loads(answer(MONTH, []))
    assert made.keys() == observed.keys()
    for row in made["result"]:
        assert row.keys() == observed["result"][0].keys()
    methods = {row["frm_name"] for row in made["result"]}
    assert {row["frm_name"] for row in observed["result"]} < methods


def test_the_stand_in_has_what_is_wrong_in_hek() -> None:
    asked = {**MONTH, "event_endtime": "2014-07-01T00:00:00", "result_limit": "200"}
    rows = []
    for page in range(1, 100):
        found = json.loads(answer({**asked, "page": str(page)}, []))
        rows += found["result"]
        if not found["overmax"]:
            break
    assert len({row["kb_archivid"] for row in rows}) == len(rows) > 700
    assert {row["fl_peakfluxunit"] for row in rows} == {"", "DN/sec/pixel", "erg/cm/cm/s"}
    assert {row["noposition"] for row in rows} == {"true", "false"}
    assert all(row["event_coord1"] is None for row in rows)
    assert {row["fl_goescls"][:1] for row in rows} == {"", "C", "M", "X"}
    whole = take_in([[read_list(json.dumps({"result": rows}).encode(), "hek")]], CLEANING, ANY)
    assert len(whole.flares) > 400
    fired = {c.note.rule for c in whole.changes}
    assert {"observer.attached", "ar.leading_digit", "position.none"} < fired


CLEANING, ANY = Cleaning(), Wanted()


def test_the_stand_in_has_the_campaigns_own_flares() -> None:
    start = datetime(2014, 1, 7, 18, 5, 34, tzinfo=UTC)
    mine = [Flare("mine", start, start + HOUR)]
    begun = [row["event_starttime"] for row in json.loads(answer(MONTH, mine))["result"]]
    assert begun.count("2014-01-07T18:05:00") >= 2


@pytest.mark.parametrize("made_by_intake", [True, False])
def test_made_up_flares_do_not_label_real_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_by_intake: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    flares = take_in([[read_list(answer(MONTH, []), "hek")]], CLEANING, ANY).flares
    Path("mine.csv").write_text(events_text(flares[:3]))
    Path("flares.csv").write_text(flares_text(flares))
    query = {"queries": [{"from": "2014-01-01", "to": "2014-02-01"}]}
    config = {"events": "mine.csv", "source": "direct", "intake": query if made_by_intake else {}}
    real = {**config, "archive": {"kind": "jsoc"}}
    advice = "run `snakemake intake` first" if made_by_intake else "make it again from lists of re"
    sentence = r"mine\.csv, line 2: its values are of a flare that a rehearsal made up, .*: "
    assert len(Campaign(config).events) == 3
    with pytest.raises(EventsError, match=sentence + advice):
        # `snakemake intake` itself is not refused: it makes the table anew.
        Campaign(real).check_events()
    Path("mine.csv").write_text("event_starttime,event_endtime\n2014-01-07 18:04,2014-01-07 18:58")
    Campaign(real).check_events()
    with pytest.raises(EventsError, match=r"flares\.csv, line 2: its values are of a flare that"):
        Campaign({**real, "flares": "flares.csv"}).check_events()
    with pytest.raises(EventsError, match=r"flares: x/flares\.csv: no such file; write its path"):
        Campaign({**real, "flares": "x/flares.csv"})


# Pages


def test_all_pages_come_and_nothing_twice(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    server = serve()
    pages = fetched(server, tmp_path)
    assert len(pages) > 1
    names = [row["kb_archivid"] for p in pages for row in json.loads(p.read_bytes())["result"]]
    assert len(set(names)) == len(names)
    assert server.asked["hek search"] == len(pages)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("shifted", "hek", times=1, skip=1),
        Fault("overmax", "hek", times=2),
        Fault("html", "hek", times=1),
        Fault("notjson", "hek", times=2),
        Fault("status", "hek", times=1, code=503),
        Fault("cut", "hek", times=1),
        Fault("cut_unannounced", "hek", times=1),
        Fault("reset", "hek", times=1),
        Fault("gzip", "hek", times=1),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_fault_that_passes(serve: Callable[..., StandIn], tmp_path: Path, fault: Fault) -> None:
    good = fetched(serve(), tmp_path / "good")
    mended = fetched(serve(faults=[fault]), tmp_path / "mended")
    assert [p.read_bytes() for p in mended] == [p.read_bytes() for p in good]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault("overmax", "hek"), r"that there are more flares \(overmax\), and gives no"),
        (Fault("html", "hek"), "no answer of HEK"),
        (
            Fault("notjson", "hek", text='{"error": "query"}'),
            "no answer of HEK, which has `result`",
        ),
        (Fault("status", "hek", code=404), "HTTP 404"),
        (Fault("status", "hek", code=503), "archive.patience"),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_a_fault_that_stays_is_named(
    serve: Callable[..., StandIn], tmp_path: Path, fault: Fault, said: str
) -> None:
    with pytest.raises(TransferError, match=said):
        fetched(serve(faults=[fault]), tmp_path)


def test_a_flare_that_is_twice_on_pages_that_stay_is_taken(
    serve: Callable[..., StandIn], tmp_path: Path
) -> None:
    server = serve(faults=[Fault("shifted", "hek")])
    pages = fetched(server, tmp_path)
    assert server.asked["hek search"] == 2 * len(pages)


def test_a_stall_ends(serve: Callable[..., StandIn], tmp_path: Path) -> None:
    server = serve(faults=[Fault("stall", "hek", times=1, seconds=30)])
    assert fetched(server, tmp_path, stall=0.3)


# Pins


def test_a_query_is_asked_once_and_refreshed_on_demand(
    serve: Callable[..., StandIn], asker: Callable[..., Asker], tmp_path: Path
) -> None:
    start = datetime(2014, 1, 7, 18, 5, tzinfo=UTC)
    server = serve(flares=[Flare("gone", start, start + HOUR)])
    ask = partial(Asker.hek, begin=BEGIN, end=END + 10 * HOUR, rehearses=False)
    first = ask(asker(), url=server.url + HEK)
    asked = server.asked["hek search"]
    assert [row.whole for row in ask(asker(), url=server.url + HEK).rows] == [
        row.whole for row in first.rows
    ]
    assert server.asked["hek search"] == asked
    assert len({row.key for row in first.rows}) == len(first.rows)
    # Two months, each with its question, its time and its sums.
    facts = [json.loads(p.read_text()) for p in (tmp_path / "store").rglob("request.json")]
    assert sorted(each["question"]["from"] for each in facts) == [
        "2014-01-01T00:00:00Z", "2014-02-01T00:00:00Z",
    ]  # fmt: skip
    assert server.calls[0][1]["event_endtime"] == "2014-02-01T00:00:00"
    # What cleans the store leaves them alone.
    assert not list(Store(tmp_path / "store", "jsoc", EUV.name).files())

    # What changes over there changes nothing here, until somebody asks again.
    server.frames.flares[0] = Flare("new", start + HOUR, start + 3 * HOUR)
    assert ask(asker(), url=server.url + HEK).sha256 == first.sha256
    again = ask(asker(refresh=True), url=server.url + HEK)
    added, gone = (next(r for r in again.remarks if kind in r) for kind in ("added", "gone"))
    assert "FL_SWPC_201401071905" in added
    assert "FL_SWPC_201401071805" in gone
    # The difference to the pin before stays in the report.
    assert ask(asker(), url=server.url + HEK).remarks == again.remarks


def test_an_answer_that_fails_pins_nothing(
    serve: Callable[..., StandIn], asker: Callable[..., Asker], tmp_path: Path
) -> None:
    server = serve(faults=[Fault("status", "hek", code=404)])
    with pytest.raises(TransferError, match="HTTP 404"):
        asker().hek(BEGIN, END, server.url + HEK, rehearses=False)
    assert not [path for path in (tmp_path / "store/queries").rglob("*") if path.is_file()]


def test_a_pin_that_changed_is_refused(
    serve: Callable[..., StandIn], asker: Callable[..., Asker], tmp_path: Path
) -> None:
    url = serve().url + HEK
    asker().hek(BEGIN, END, url, rehearses=False)
    page = next((tmp_path / "store").rglob("page-0001.json"))
    page.write_bytes(page.read_bytes().replace(b"SWPC", b"SWPX", 1))
    with pytest.raises(StoreError, match="not as it was pinned"):
        asker().hek(BEGIN, END, url, rehearses=False)


def test_broken_text_is_kept_as_it_came_and_read(
    serve: Callable[..., StandIn], tmp_path: Path
) -> None:
    server = serve(faults=[Fault("broken_text", "hek")])
    page = fetched(server, tmp_path)[0]
    assert b"caf\xc5" in page.read_bytes()
    assert len(read_list(page).rows) == 100


class Files(BaseHTTPRequestHandler):
    """Answers with the text that the server holds; notes who asks."""

    def do_GET(self) -> None:
        self.server.agents.append(self.headers["User-Agent"])
        body = self.server.text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def files() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Files)
    server.text, server.agents = LIST, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_list_by_url_is_pinned_by_the_same_door(
    files: HTTPServer, asker: Callable[..., Asker]
) -> None:
    url = f"http://127.0.0.1:{files.server_port}/reports/2014.csv?year=2014"
    found = asker().file(url)
    assert (found.form, found.rows[0].file, found.rows[0].line) == ("CSV", url, 2)
    assert files.agents == [USER_AGENT]
    assert found.sha256 == read_list(LIST.encode(), "mine.csv").sha256
    files.text = LIST.replace("X1.2", "X1.3")
    assert asker().file(url).rows == found.rows
    again = asker(refresh=True).file(url)
    assert again.rows[0].cells["goes_class"] == "X1.3"
    assert [text.split()[:2] for text in again.remarks[1:]] == [["1", "added"], ["1", "gone"]]


def test_what_is_no_list_is_not_pinned(files: HTTPServer, asker: Callable[..., Asker]) -> None:
    url = f"http://127.0.0.1:{files.server_port}/list.csv"
    files.text = "<html><body>moved</body></html>"
    with pytest.raises(IntakeError, match=f"{url}: a web page without flares"):
        asker().file(url)
    files.text = LIST
    assert len(asker().file(url).rows) == 1


def test_without_a_network_the_server_is_named(asker: Callable[..., Asker]) -> None:
    with pytest.raises(TransferError, match=r"127\.0\.0\.1:9: the connection failed"):
        asker().file("http://127.0.0.1:9/list.csv")


def test_differences_by_the_names_of_rows() -> None:
    text = "event_id,start,end\na,2014-01-01 00:00,2014-01-01 01:00\nb,2014-01-02 00:00,{}\n"
    old = read_list(text.format("2014-01-02 01:00").encode(), "x.csv").rows
    new = read_list(text.format("2014-01-02 02:00").replace("a,", "c,").encode(), "x.csv").rows
    assert differences(old, new) == ["1 added (c)", "1 gone (a)", "1 changed (b)"]


# What is asked for is looked at here


def test_classes_regions_and_places_are_looked_at_here() -> None:
    found = read_list(answer({**MONTH, "result_limit": "200"}, []), "HEK")
    everything = take_in([[found]], CLEANING, ANY)
    filters = {"HEK": Wanted(least_flux=1e-5, longitude=60)}
    strong = take_in([[found]], CLEANING, ANY, filters)
    wanted = {
        f.flare_id
        for f in everything.flares
        if (f.flux or 0) >= 1e-5 and f.position and abs(f.position[0]) <= 60
    }
    assert {f.flare_id for f in strong.flares} == wanted != set()
    assert "rows are not what the query asks for" in strong.sources[0].remarks[-1]


def test_the_stand_in_answers_over_http(serve: Callable[..., StandIn]) -> None:
    found = requests.get(serve().url + HEK, params={**MONTH, "return": "kb_archivid"}, timeout=5)
    assert found.headers["Content-Type"] == "application/json"
    assert {*found.json()["result"][0]} == {"kb_archivid"}
