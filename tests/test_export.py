"""An export's life against the stand-in, in a time that only the sleeps of the client move."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
import requests
from support.bench import connected

from flareset.archive.answers import Answers
from flareset.archive.exports import Exporter, Order
from flareset.archive.jsoc import Jsoc
from flareset.archive.responses import Answer
from flareset.errors import ExportError
from flareset.sdo.series import SERIES
from flareset.standin.exports import Limits
from flareset.standin.server import Fault, StandIn
from flareset.system.locks import held
from flareset.system.retry import backoff

EMAIL = "jane.doe@example.org"
EUV = SERIES["aia.lev1_euv_12s"]
ORDER = Order(
    "aia.lev1_euv_12s[2014-01-07T18:00:48Z/733s][131]{image}",
    "url",
    "FITS,compress Rice",
    "aia.lev1_euv_12s.{T_REC:A}.{WAVELNTH}.{segment}",
    "n=0|no_op",
)
OTHER = replace(ORDER, recordset="aia.lev1_euv_12s[2014-02-07T18:00:48Z/120s][131]{image}")
WEEK = 8 * 24 * 3600.0


class Killed(BaseException):
    """The run ends here, as SIGKILL would end it."""


class Client:
    """An exporter as one run of the workflow has it; `kill_at` ends it at its n-th sleep."""

    def __init__(self, world: World, kill_at: int = 0) -> None:
        self.world = world
        self._told_before = len(world.caplog.messages)
        self.slept: list[float] = []
        self.kill_at = kill_at
        url = world.server.cgi_url
        connections = connected(
            url,
            world.folder / "meet",
            patience=600,
            clock=world.clock,
            sleep=self.sleep,
            jitter=lambda: 0.5,
        )
        answers = Answers(world.folder / "answers")
        self.jsoc = Jsoc(url, EMAIL, connections=connections, answers=answers)
        self.exporter = Exporter(
            self.jsoc,
            world.folder / "requests",
            world.folder / "lock",
            series=EUV,
            wait=24 * 3600.0,
            clock=world.clock,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self.kill_at:
            raise Killed
        self.world.now += seconds

    def bring(self, order: Order = ORDER, **options: bool) -> list[Answer]:
        return self.exporter.bring(order, **options)

    def refused(self, order: Order = ORDER) -> str:
        with pytest.raises(ExportError) as error:
            self.bring(order)
        return str(error.value)

    @property
    def text(self) -> str:
        """What was logged since this run began."""
        return "\n".join(self.world.caplog.messages[self._told_before :])


class World:
    """A stand-in with its clock, and the folder that outlives the runs."""

    def __init__(
        self,
        folder: Path,
        serve: Callable[..., StandIn],
        caplog: pytest.LogCaptureFixture,
        **options: object,
    ) -> None:
        self.now = 1_790_000_000.0
        self.folder = folder
        self.caplog = caplog
        self.server = serve(clock=self.clock, **{"delay": 40.0, **options})

    def clock(self) -> float:
        return self.now

    def run(self, kill_at: int = 0) -> Client:
        return Client(self, kill_at)

    @property
    def created(self) -> list[str]:
        return self.server.created

    def note(self, order: Order = ORDER) -> dict:
        return json.loads((self.folder / "requests" / f"{order.key}.json").read_text())["note"]


@pytest.fixture
def world(
    tmp_path: Path, serve: Callable[..., StandIn], caplog: pytest.LogCaptureFixture
) -> Callable[..., World]:
    caplog.set_level(logging.INFO, "flareset")
    return lambda *faults, **options: World(tmp_path, serve, caplog, faults=list(faults), **options)


def jsoc(code: int, text: str = "", op: str = "exp_request", times: int = 2) -> Fault:
    return Fault("jsoc", f"jsoc_fetch {op}", times=times, code=code, text=text)


def test_asked_once_waited_for_and_remembered(world: Callable[..., World]) -> None:
    here = world()
    run = here.run()
    (answer,) = run.bring()
    assert len(here.created) == 1
    assert (answer.status, answer.requestid) == (0, here.created[0])
    assert len(answer.data) == answer.count == 61
    assert run.slept[0] == 5.0
    assert max(run.slept) <= 60
    assert run.slept == sorted(run.slept), "asked less and less often"
    for word in (answer.requestid, "queued", "being processed", "waited 0:00:"):
        assert word in run.text
    asked = sum(here.server.asked.values())
    assert here.run().bring() == [answer]
    assert sum(here.server.asked.values()) == asked, "what is remembered is not asked for"
    (form,) = [form for name, form in here.server.calls if form.get("op") == "exp_request"]
    assert form["process"] == "n=0|no_op"
    assert form["notify"] == EMAIL


def test_a_run_killed_at_any_moment_asks_no_second_time(world: Callable[..., World]) -> None:
    here = world()
    kills = 0
    for moment in range(1, 40):
        run = here.run(kill_at=moment if moment < 6 else 0)
        try:
            (answer,) = run.bring()
            break
        except Killed:
            kills += 1
            assert here.note()["requestid"] == here.created[0], "on disk before the first poll"
            assert run.exporter.is_asked(ORDER)
            assert run.exporter.remembered(ORDER) is None
    assert kills >= 3
    assert len(here.created) == 1
    assert answer.count == 61


@pytest.mark.parametrize("later", [0, 3600])
def test_killed_between_the_request_and_the_note(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    here = world()
    submit = Jsoc.submit

    def dies(self: Jsoc, form: dict[str, str]) -> Answer:
        submit(self, form)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Jsoc, "submit", dies)
        with pytest.raises(Killed):
            here.run().bring()
    # JSOC has the request, we have no id. It says that one is pending, and gives it back later.
    (requestid,) = here.created
    here.now += later
    run = here.run()
    (answer,) = run.bring()
    assert here.created == [answer.requestid] == [requestid]
    assert (f"export requests ({requestid})" in run.text) == (not later)


def test_an_identical_request_is_the_way_back(world: Callable[..., World]) -> None:
    here = world()
    here.run().bring()
    (here.folder / "requests" / f"{ORDER.key}.json").unlink()
    here.now += 3600
    (answer,) = here.run().bring()
    assert here.created == [answer.requestid]


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (jsoc(1, op="exp_status"), "being processed"),
        (jsoc(2, op="exp_status"), "queued"),
        (jsoc(12, op="exp_status"), "queued for a test"),
        (jsoc(6, "not there", op="exp_status"), "not known yet"),
        (jsoc(4, "Cant save new export-request hash."), "Cant save new export-request hash"),
        (jsoc(4, "Cant get new RequestID"), "Cant get new RequestID"),
        (jsoc(4, "SUMS is down."), "SUMS is down"),
        (jsoc(5, "deleted, 7 day limit exceeded", op="exp_status"), "7 day limit"),
        (jsoc(7, "There are too many requests from 10.0.0.1; please wait"), "too many requests"),
        (Fault("noindex", times=2), "index.json file not found"),
    ],
)
def test_what_passes(world: Callable[..., World], fault: Fault, word: str) -> None:
    here = world(fault)
    run = here.run()
    (answer,) = run.bring()
    assert answer.count == 61
    assert len(here.created) == 1
    assert word in run.text


@pytest.mark.parametrize("kind", ["status", "html", "notjson", "cut", "reset", "empty"])
@pytest.mark.parametrize(
    "call", ["checkAddress", "jsoc_fetch exp_request", "jsoc_fetch exp_status"]
)
def test_every_call_is_tried_again(world: Callable[..., World], call: str, kind: str) -> None:
    here = world(Fault(kind, call, times=3, code=503))
    run = here.run()
    run.jsoc.check_address()
    (answer,) = run.bring()
    assert answer.count == 61
    assert len(here.created) == 1
    assert run.text.count("; again in") == 3
    assert run.slept[0] == 0.5
    assert EMAIL not in run.text


@pytest.mark.parametrize(("code", "wait"), [(500, 0), (503, 77), (429, 77)])
def test_retry_after_is_obeyed(world: Callable[..., World], code: int, wait: int) -> None:
    here = world(Fault("status", "checkAddress", times=1, code=code, retry_after=wait))
    run = here.run()
    run.jsoc.check_address()
    assert run.slept == [wait or 0.5]


def test_a_request_that_crashes_jsoc_is_told_from_an_outage(
    world: Callable[..., World],
) -> None:
    here = world(Fault("status", "jsoc_info rs_list", code=500))
    asked = "aia.lev1_euv_12s[2014-01-07T18:00:48Z/60s][131]"
    run = here.run()
    with pytest.raises(ExportError, match="answers others: HTTP 500") as error:
        run.jsoc.records(asked, ["T_REC"])
    assert asked in str(error.value)
    # It is asked twice, so that a hiccup costs no job.
    assert sum(form.get("op") == "rs_list" for _, form in here.server.calls) == 2
    assert sum(run.slept) < 10
    here.server.faults[:] = [Fault("status", "jsoc_info rs_list", code=500, skip=2, times=1)]
    run = here.run()
    assert len(run.jsoc.records(asked, ["T_REC"])) == 5
    assert run.text.count("HTTP 500 Internal Server Error; again in") == 1
    # Where JSOC answers nobody, its patience counts.
    here.server.faults[:] = [Fault("status", "jsoc_info", code=500)]
    run = here.run()
    with pytest.raises(ExportError, match=r"archive.patience"):
        run.jsoc.records(asked.replace("60s", "72s"), ["T_REC"])
    assert 500 < sum(run.slept) <= 600


def test_patience_ends(world: Callable[..., World]) -> None:
    here = world(Fault("status", "jsoc_fetch exp_status"))
    run = here.run()
    message = run.refused()
    assert "HTTP 503" in message
    assert "archive.patience" in message
    assert "Run again" in message
    assert 500 < sum(run.slept) <= 600
    here.server.faults.clear()
    (answer,) = here.run().bring()
    assert here.created == [answer.requestid]


@pytest.mark.parametrize("call", ["exp_request", "exp_status"])
def test_patience_ends_with_refusals_too(world: Callable[..., World], call: str) -> None:
    here = world(jsoc(4, "SUMS is down.", op=call, times=10**6))
    run = here.run()
    assert "'SUMS is down.' for longer than archive.patience" in run.refused()
    assert 500 < sum(run.slept) <= 660


def test_pauses_grow_to_a_minute_and_no_further() -> None:
    assert [backoff(failures, 0.5) for failures in (1, 5, 5000)] == [0.5, 8.0, 60.0]


def test_refusals_of_a_day_are_borne(world: Callable[..., World]) -> None:
    here = world(jsoc(4, "SUMS is down.", op="exp_status", times=1500))
    run = here.run()
    run.jsoc.connections.outage.patience = 30 * 3600.0
    (answer,) = run.bring()
    assert answer.count == 61
    assert 20 * 3600 < sum(run.slept) < 30 * 3600
    assert max(run.slept) <= 90


def test_another_request_of_the_address_is_waited_for(world: Callable[..., World]) -> None:
    here = world()
    other = Client(here).jsoc.submit(OTHER.form(0))
    run = here.run()
    (answer,) = run.bring()
    assert here.created == [other.requestid, answer.requestid]
    assert f"1 pending export requests ({other.requestid})" in run.text
    assert "User <address> has" in run.text
    assert EMAIL not in run.text
    assert not any(name.startswith("manage") for name, _ in here.server.calls), "none is cancelled"


def test_a_slot_that_a_failed_request_holds_is_freed(world: Callable[..., World]) -> None:
    here = world()
    wrong = replace(OTHER, process="n=0|no_such_step")
    Client(here).jsoc.submit(wrong.form(0))
    run = here.run()
    (answer,) = run.bring()
    assert answer.count == 61
    assert "is finished but still counts" in run.text
    operations = [form["operation"] for name, form in here.server.calls if "manage" in name]
    assert operations == ["cancel"]


def test_too_large_is_split(world: Callable[..., World]) -> None:
    here = world(limits=Limits(aia_records=25))
    run = here.run()
    answers = run.bring()
    records = [record for answer in answers for record, _ in answer.data]
    assert len(answers) == len(here.created) == 4
    assert len(records) == len(set(records)) == 61
    assert "too large for one request" in run.text
    assert here.run().bring() == answers
    assert len(here.created) == 4


def test_one_record_that_is_too_large(world: Callable[..., World]) -> None:
    here = world(jsoc(3, "Request exceeds max byte limit of 100000MB", times=10**6))
    assert "one record cannot be split" in here.run().refused()


def test_a_refusal_is_told_and_asked_again_by_the_next_run(world: Callable[..., World]) -> None:
    here = world()
    wrong = replace(ORDER, process="n=0|no_such_step")
    message = here.run().refused(wrong)
    assert "Invalid process field value: n=0|no_such_step." in message
    assert here.created[0] in message
    assert "Invalid process" in here.run().refused(wrong)


def test_a_failed_job_is_asked_for_in_other_words(world: Callable[..., World]) -> None:
    # JSOC gives an identical request back for a day although its job failed.
    here = world(Fault("jobfail", times=1))
    assert "status 4" in here.run().refused()
    (answer,) = here.run().bring()
    assert len(here.created) == 2
    assert answer.requestid == here.created[1]
    assert answer.data[0][1].startswith("again1.aia.lev1_euv_12s.")


def test_what_expired_is_asked_for_again(world: Callable[..., World]) -> None:
    here = world()
    (first,) = here.run().bring()
    here.now += WEEK
    assert here.run().bring() == [first], "a listing that is known needs no request"
    (second,) = here.run().bring(anew=True)
    assert here.created == [first.requestid, second.requestid]
    assert here.run().bring() == [second]


def test_files_that_are_gone_are_asked_for_again_though_jsoc_says_they_are_there(
    world: Callable[..., World],
) -> None:
    here = world()
    (first,) = here.run().bring()
    run = here.run()
    (second,) = run.bring(anew=True)
    assert here.created == [first.requestid, second.requestid]
    assert f"{first.requestid}: its files are gone; asking again" in run.text


def test_a_request_that_expired_unseen(world: Callable[..., World]) -> None:
    here = world()
    with pytest.raises(Killed):
        here.run(kill_at=1).bring()
    here.now += WEEK
    run = here.run()
    (answer,) = run.bring()
    assert here.created[1:] == [answer.requestid]
    assert "has expired; asking again" in run.text


@pytest.mark.parametrize(
    "fault",
    [
        jsoc(25, "One or more data files are offline"),
        jsoc(4, "jsoc_fetch did not return a known status code (code 25)"),
        jsoc(25, "One or more data files are offline", op="exp_status"),
    ],
)
def test_offline_data_have_an_answer_that_is_not_kept(
    world: Callable[..., World], fault: Fault
) -> None:
    here = world(fault)
    (answer,) = here.run().bring()
    assert (answer.status, answer.data) == (25, [])
    here.server.faults.clear()
    (answer,) = here.run().bring()
    assert answer.count == 61


def test_a_user_s_export_is_asked_about_until_it_is_finished(
    world: Callable[..., World],
) -> None:
    here = world()
    (asked,) = here.run().bring()
    # Another store knows nothing of it; JSOC deletes it after a week.
    shutil.rmtree(here.folder / "answers")
    first = here.run().exporter.wait_for(asked.requestid)
    assert first == asked
    calls = len(here.server.calls)
    here.now += WEEK
    assert here.run().exporter.wait_for(asked.requestid) == first
    assert len(here.server.calls) == calls
    assert EMAIL not in "".join(p.read_text() for p in (here.folder / "answers").iterdir())
    shutil.rmtree(here.folder / "answers")
    with pytest.raises(ExportError, match="JSOC keeps an export for a week: export again"):
        here.run().exporter.wait_for(asked.requestid)


def test_waiting_has_an_end_and_goes_on_later(world: Callable[..., World]) -> None:
    here = world(delay=100 * 3600.0)
    message = here.run().refused()
    assert "is still queued after 1 day" in message
    assert "not asked for twice" in message
    here.now += 200 * 3600
    here.run().bring()
    assert len(here.created) == 1


@pytest.mark.parametrize(
    ("email", "message"),
    [
        ("", "set JSOC_EMAIL"),
        ("jane.doe+flares@example.org", "reads the plus sign of the address in JSOC_EMAIL as a"),
        ("unregistered@example.org", "is not registered with JSOC"),
        ("pending@example.org", "waits for its registration"),
        ("no address", "the address in JSOC_EMAIL as malformed: Not a valid email address."),
    ],
)
def test_addresses(world: Callable[..., World], email: str, message: str) -> None:
    here = world()
    client = Jsoc(
        here.server.cgi_url,
        email,
        connections=connected(here.server.cgi_url, here.folder),
        answers=Answers(here.folder),
    )
    with pytest.raises(ExportError) as error:
        client.check_address()
    assert message in str(error.value)
    assert not email or email not in str(error.value)
    assert all(form.get("checkonly") == "1" for _, form in here.server.calls)
    # An address that cannot work is not asked about.
    assert bool(here.server.calls) == (email != "" and "+" not in email)


def test_no_server_at_all(tmp_path: Path) -> None:
    slept: list[float] = []
    url = "http://127.0.0.1:9/ajax/"
    connections = connected(
        url, tmp_path, patience=20, clock=lambda: 1e9 + sum(slept), sleep=slept.append
    )
    client = Jsoc(url, EMAIL, connections=connections, answers=Answers(tmp_path))
    with pytest.raises(ExportError, match="no connection"):
        client.status("JSOC_20140107_123")
    # Times of 1e9 s are rounded.
    assert 5 < sum(slept) <= 20 + 1e-6


def test_the_address_is_masked_in_every_spelling(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/"
    email = "jane.doe+flares@example.org"
    client = Jsoc(url, email, connections=connected(url, tmp_path), answers=Answers(tmp_path))
    once = requests.utils.quote(email, safe="")
    twice = requests.utils.quote(once, safe="")
    text = f"User {email} and {email.upper()} at ?notify={once}&again={twice}"
    assert (
        client.masked(text) == "User <address> and <address> at ?notify=<address>&again=<address>"
    )


def test_one_request_at_a_time_over_processes(world: Callable[..., World]) -> None:
    here = world()
    run = here.run()
    with held(here.folder / "lock"):
        run.kill_at = 3
        with pytest.raises(Killed):
            run.bring()
        assert here.created == []
    assert run.text.startswith("waits for another export of this address (process ")
    started = time.monotonic()
    here.run().bring()
    assert time.monotonic() - started < 20


class Moved(BaseHTTPRequestHandler):
    """A server that has moved to `goal`; what it was sent is in `seen`."""

    goal = ""
    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.seen.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(301)
        self.send_header("Location", self.goal + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None: ...


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_request_is_sent_again_where_the_same_host_wants_it(
    world: Callable[..., World], host: str
) -> None:
    here = world()
    old = ThreadingHTTPServer(("127.0.0.1", 0), Moved)
    Moved.goal = f"http://{host}:{here.server.server_port}"
    Thread(target=old.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{old.server_port}/cgi-bin/ajax/"
        client = Jsoc(
            url, EMAIL, connections=connected(url, here.folder), answers=Answers(here.folder)
        )
        if host == "127.0.0.1":
            assert client.submit(ORDER.form(0)).status == 2
            assert len(here.created) == 1
        else:
            with pytest.raises(ExportError, match="redirects to localhost"):
                client.submit(ORDER.form(0))
    finally:
        old.shutdown()
        old.server_close()


def test_an_answer_that_does_not_end_is_given_up(
    world: Callable[..., World], tmp_path: Path
) -> None:
    here = world()
    client = Jsoc(
        here.server.cgi_url,
        EMAIL,
        connections=connected(here.server.cgi_url, tmp_path, patience=0.1),
        answers=Answers(tmp_path),
        largest=100,
    )
    with pytest.raises(ExportError, match="its answer has over 100 bytes"):
        client.structure("aia.lev1_euv_12s")
