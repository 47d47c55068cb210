"""JSOC's exports from request to expiry: addresses, pending requests, duplicates, statuses.

Source: jsoc_fetch.c, jsoc_export_manage.c, checkAddress.py, manage-request.py of JSOC, and recorded
answers.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import md5, sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from flareset.standin.database import DatabaseError
from flareset.standin.faults import EXPORT_FAULTS, Fault
from flareset.standin.forms import Form
from flareset.standin.holdings import Holdings
from flareset.standin.madeup import Record
from flareset.standin.products import Product, megabytes, quick
from flareset.standin.recordset import BadFilter, BadQuery, Crash, UnknownSeries
from flareset.standin.steps import read_processing
from flareset.standin.wire import PLAIN, Answer, compact, crashed
from flareset.system.files import write_text
from flareset.system.locks import held

# Not anchored at its end, as in the real program.
_ADDRESS = re.compile(r"\s*[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,6}")
_REQUEST_ID = re.compile(r"JSOC_[0-9]{8}_[0-9]+(_IN)?")
_HOUR, _DAY = 3600.0, 86400.0
_PENDING_FOR, _DUPLICATE_FOR, _KEPT_FOR = _HOUR, _DAY, 7 * _DAY
_MOST_PER_IP = 10
_CONTACT = "jsoc_help@jsoc.stanford.edu"
_DELETED = "Request was completed but is now deleted, 7 day limit exceeded"
_NO_DS = "Not Specified"
_TWO_SEGMENTS = "cannot provide both the `seg` argument, and a segment filter in the `in` argument"
_NO_INDEX = "Export should be complete but return index.json file not found"
_OFFLINE = (
    "One or more data files are offline; please send a request for help to jsoc@sun.stanford.edu"
    " and we will place the requested data online, and then you may try again; "
)


@dataclass(frozen=True)
class Limits:
    """The most that one request may ask for. A file counts with the size of a real file."""

    aia_records: int = 15_000
    hmi_records: int = 32_000
    megabytes: int = 100_000
    uncompressed_megabytes: int = 10_000
    megabytes_per_file: float = 12.0


class Refused(Exception):
    """A request that JSOC refuses, with the status and text of its answer."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def check_address(text: str | None, *, check_only: bool = True) -> tuple[int, str]:
    """Return the status and message of checkAddress for an address, which may be URL-encoded.

    Every valid address counts as registered, except `unregistered…@`, `notregistered…@` and
    `pending…@`.
    """
    if text == "":
        return -2, "Missing required argument 'address'."
    address = unquote(text or "")
    if not _ADDRESS.match(address):
        return -2, "Not a valid email address."
    if address.strip().startswith("pending"):
        return 3, "Email-address registration is pending. Please wait and try again later."
    if address.strip().startswith(("unregistered", "notregistered")):
        if check_only:
            return 4, "email address has been neither validated nor registered"
        return 1, "Email address is being registered."
    return 2, "Email address is valid and registered."


class Exports:
    """The export system. Its requests are in `state`, a JSON file that processes share.

    `clock` returns seconds since 1970. A request is queued for `delay` seconds, then processed for
    as long.
    """

    def __init__(
        self,
        holdings: Holdings,
        *,
        state: Path | None,
        clock: Callable[[], float],
        delay: float,
        limits: Limits,
        faults: list[Fault],
    ) -> None:
        self.created: list[str] = []
        self._holdings = holdings
        self._clock = clock
        self._delay = delay
        self._limits = limits
        self._faults = faults
        self._struck: dict[int, int] = {}
        self._products: dict[str, Product] = {}
        self._polled: dict[str, int] = {}
        self._path = state
        self._memory: dict[str, Any] = {"requests": {}, "hashes": {}, "pending": [], "days": {}}
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the files of the products."""
        for product in self._products.values():
            product.close()

    def request(self, args: dict[str, str], ip: str) -> Answer:
        """Return the answer to `exp_request`."""
        ds = args.get("ds", _NO_DS)
        try:
            answer = self._request({**args, "ds": ds}, ip)
        except Crash:
            return crashed()
        except Refused as refusal:
            answer = {"status": refusal.status, "error": refusal.error}
        except DatabaseError:
            dataset = self._holdings.dataset(ds)
            said = f"Can not open RecordSet, bad query or too many records: {dataset}"
            answer = {"status": 4, "error": said}
        except UnknownSeries as error:
            said = f"Cannot export series '{error}' - it does not exist.\n"
            answer = {"status": 4, "error": said}
        except BadFilter:
            said = f"Bad record-set subset specification '{ds}'.\n"
            answer = {"status": 4, "error": said}
        except BadQuery:
            answer = {"status": 4, "error": f"Bad record-set query '{ds}'.\n"}
        return _shown(answer, args.get("format", "json"))

    def status(self, requestid: str) -> Answer:
        """Return the answer to `exp_status`: index.json itself once the export is finished."""
        if not requestid:
            return error_answer(4, "RequestID must be provided")
        if not _REQUEST_ID.search(requestid):
            return error_answer(4, f"Bad RequestID '{requestid}' provided.")
        with self._state() as state:
            entry = state["requests"].get(requestid)
            now = self._clock()
        if entry is None:
            # The real program forgets to fill in its format.
            return error_answer(4, f"invalid export DRMS record for ID `%s`{requestid}")
        status, error = self._standing(entry, now)
        if status == 0:
            if self._noindex(requestid):
                return error_answer(4, _NO_INDEX)
            return Answer(self._product(requestid, entry).index["index.json"].decode("latin-1"))
        answer: dict[str, Any] = {
            "status": status,
            "requestid": requestid,
            "method": entry["form"]["method"],
            "protocol": entry["form"]["protocol"],
            "wait": round(entry["submitted"] + 10 - now) if status in (1, 2, 12) else 999999,
            "rcount": 0,
            "size": entry["size"],
        }
        if status > 2:
            answer |= {"error": error, "contact": _CONTACT}
        return Answer(compact(answer))

    def manage(self, address: str, operation: str) -> dict[str, str]:
        """Return manage-request's answer: `check` or `cancel` the pending request of an address."""
        if operation not in ("check", "cancel"):
            return {"status": "-3", "msg": f"unrecognized operation {operation}"}
        with self._state() as state:
            rows = [row for row in state["pending"] if row["address"] == _hidden(address)]
            if not rows:
                said = f"no existing export request for export user {address}"
                return {"status": "1", "msg": said}
            begun = datetime.fromtimestamp(rows[0]["since"], UTC).strftime("%Y-%m-%d %H:%M:%S")
            said = (
                f"existing export request for export user {address}"
                f" [ request_id={rows[0]['id']}, start_time={begun} ]"
            )
            if operation == "check":
                return {"status": "2", "msg": said}
            # The job of the request goes on.
            state["pending"].remove(rows[0])
            return {"status": "3", "msg": f"{said} was canceled"}

    def find(self, folder: str) -> tuple[bool, Product | None]:
        """Return whether a folder belongs to an export, and its product while JSOC keeps it."""
        with self._state() as state:
            for requestid, entry in state["requests"].items():
                if entry["folder"] == folder:
                    there = self._standing(entry, self._clock())[0] == 0
                    return True, self._product(requestid, entry) if there else None
        return False, None

    def _request(self, args: dict[str, str], ip: str) -> dict[str, Any]:
        """Return the answer to a request. Raise Refused and BadQuery in JSOC's order of checks."""
        address = self._address(args)
        form, ratio = _form(args)
        series, found, segments = self._asked(form)
        key = md5(form.key(found, segments).encode(), usedforsecurity=False).hexdigest()
        with self._state() as state:
            self._check_load(state, address, ip)
            known = state["hashes"].get(key, [""])[0]
            if known:
                return _accepted(2, known, form, 0, state["requests"][known]["count"], 0)
        offline = self._hits(("offline",), [form.ds])
        self._check_online(found, offline)
        if form.method == "url_quick" and form.kind == "as-is" and not offline:
            return self._at_once(form, len(found))
        files = len(found) * len(segments)
        size = max(1, int(files * self._limits.megabytes_per_file * ratio)) if files else 0
        if refusal := self._too_large(form, series, len(found), size):
            return refusal
        labels = [f"{r.query()} {r.frame(s).name}" for r in found for s in segments]
        hits = self._hits([k for k in EXPORT_FAULTS if k != "offline"], [*labels, form.ds])
        testing = args.get("t", "0") not in ("", "0")
        entry = {
            "form": asdict(form),
            "delay": self._delay,
            "queued_as": 12 if testing else 2,
            "count": len(found),
            "size": size,
            "hash": key,
            "rejected": form.refusal(self._holdings),
            "fails": form.fails(self._holdings),
            "faults": [[fault.kind, fault.pattern] for fault in hits],
            "settled": False,
        }
        requestid = self._begin(entry, address, ip)
        return _accepted(entry["queued_as"], requestid, form, 10, len(found), size)

    def _check_online(self, found: Sequence[Record], faults: list[Fault]) -> None:
        """Raise Refused, with a RequestID, if any record is offline."""
        if any(fault.code == 25 for fault in faults) or not all(r.online for r in found):
            with self._state() as state:
                requestid = self._next_id(state)
            raise Refused(25, f"{_OFFLINE}{requestid}")

    def _address(self, args: dict[str, str]) -> str:
        """Return the address of a request. Raise Refused if it is not registered.

        The real program passes the address on without encoding it: a `+` arrives as a space.
        """
        given = args.get("notify")
        status, message = check_address(given and given.replace("+", " "))
        if status != 2:
            raise Refused(4, f"Cannot process your request. {message}")
        return unquote(given or "").strip()

    def _asked(self, form: Form) -> tuple[str, Sequence[Record], tuple[str, ...]]:
        """Return the series, records and segments of a form."""
        if form.ds.lower().startswith("jsoc.export"):
            raise Refused(4, "Export}} of jsoc_export series not allowed.")
        subsets = self._holdings.subsets(form.ds)
        if not subsets:
            raise BadQuery(form.ds)
        if len({structure.name for _, structure in subsets}) > 1:
            raise Refused(4, "Cannot specify subsets of records from different series.\n")
        if form.seg and any(subset.segments for subset, _ in subsets):
            raise Refused(4, _TWO_SEGMENTS)
        found = form.selected(self._holdings)
        return subsets[0][1].name, found, form.segments(self._holdings)

    def _begin(self, entry: dict[str, Any], address: str, ip: str) -> str:
        """Keep an accepted request, and return its RequestID."""
        with self._state() as state:
            now = self._clock()
            requestid = self._next_id(state)
            digest = sha256(f"{requestid}|{entry['hash']}".encode()).digest()
            sunum = 10**9 + int.from_bytes(digest[1:5], "big")
            folder = f"/SUM{1 + digest[0] % 90}/D{sunum}/S00000"
            state["requests"][requestid] = {**entry, "folder": folder, "submitted": now}
            state["hashes"][entry["hash"]] = [requestid, now]
            row = {"address": _hidden(address), "ip": ip, "id": requestid, "since": now}
            state["pending"].append(row)
            self.created.append(requestid)
        return requestid

    def _next_id(self, state: dict[str, Any]) -> str:
        """Return the next RequestID of the day."""
        day = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%d")
        number = state["days"][day] = state["days"].get(day, 0) + 1
        return f"JSOC_{day}_{number:03d}"

    def _at_once(self, form: Form, count: int) -> dict[str, Any]:
        """Return the immediate answer that lists stored files. `count` is the number of records."""
        if not count:
            raise Refused(4, "There are no files in this RecordSet")
        rows = quick(form, self._holdings)
        images = sum(1 for record, _ in rows if not record.endswith("{spikes}"))
        return {
            "rcount": count,
            "count": len(rows),
            "size": megabytes(images, self._holdings.frames.size),
            "dir": "",
            "data": [{"record": record, "filename": path} for record, path in rows],
            "requestid": "",
            "method": form.method,
            "protocol": form.protocol,
            "wait": 0,
            "status": 0,
        }

    def _too_large(self, form: Form, series: str, count: int, size: int) -> dict[str, Any] | None:
        limits = self._limits
        most = limits.aia_records if series.startswith("aia.") else limits.hmi_records
        bytes_most = limits.megabytes
        if "**none**" in form.protocol.lower():
            bytes_most = limits.uncompressed_megabytes
        if count <= most and size <= bytes_most:
            return None
        error = f"Request exceeds max byte limit of {bytes_most}MB"
        if count > most:
            error = f"Request exceeds max record limit of {most}"
        return {
            "requestid": "VOID",
            "method": form.method,
            "protocol": form.protocol,
            "wait": 0,
            "status": 3,
            "count": count,
            "size": size,
            "error": error,
        }

    def _check_load(self, state: dict[str, Any], address: str, ip: str) -> None:
        """Raise Refused if the address has a pending request, or the machine too many."""
        rows = state["pending"]
        named = [row["id"] for row in rows if row["address"] == _hidden(address)]
        if named:
            raise Refused(
                7,
                f"User {address} has {len(named)} pending export requests ({','.join(named)});"
                " please wait until at least one request has completed before submitting a new"
                " one.",
            )
        if sum(1 for row in rows if row["ip"] == ip) > _MOST_PER_IP:
            raise Refused(
                7,
                f"There are too many requests from {address}; please wait until one or more"
                " requests have completed before submitting a new one.",
            )

    def _standing(self, entry: dict[str, Any], now: float) -> tuple[int, str]:
        """Return the status and error of a request at a time."""
        begun = entry["submitted"] + entry["delay"]
        done = begun + entry["delay"]
        if now < begun:
            return entry["queued_as"], ""
        if entry["rejected"]:
            return 4, entry["rejected"]
        if now < done:
            return 1, ""
        if entry["fails"] or any(kind == "jobfail" for kind, _ in entry["faults"]):
            return 4, ""
        if now > done + _KEPT_FOR:
            return 5, _DELETED
        return 0, ""

    def _settle(self, state: dict[str, Any]) -> None:
        """Update the tables: remove requests that ended or lapsed since the last look."""
        now = self._clock()
        ended = set()
        for requestid, entry in state["requests"].items():
            if entry["settled"] or self._standing(entry, now)[0] in (1, 2, 12):
                continue
            entry["settled"] = True
            if entry["rejected"]:
                # JSOC forgets to remove the pending row, which blocks the address until it lapses.
                if state["hashes"].get(entry["hash"], [""])[0] == requestid:
                    del state["hashes"][entry["hash"]]
            else:
                ended.add(requestid)
        state["pending"] = [
            row
            for row in state["pending"]
            if row["id"] not in ended and now - row["since"] < _PENDING_FOR
        ]
        state["hashes"] = {
            key: value for key, value in state["hashes"].items() if now - value[1] < _DUPLICATE_FOR
        }

    def _product(self, requestid: str, entry: dict[str, Any]) -> Product:
        with self._lock:
            if requestid not in self._products:
                done = entry["submitted"] + 2 * entry["delay"]
                self._products[requestid] = Product(
                    requestid,
                    Form(**entry["form"]),
                    entry["folder"],
                    datetime.fromtimestamp(done, UTC),
                    self._holdings,
                    [(kind, pattern) for kind, pattern in entry["faults"]],
                )
            return self._products[requestid]

    def _hits(self, kinds: tuple[str, ...] | list[str], texts: list[str]) -> list[Fault]:
        """Return the faults of these kinds that strike an export. Count it for each match."""
        hits = []
        for number, fault in enumerate(self._faults):
            if fault.kind not in kinds or not any(re.search(fault.pattern, t) for t in texts):
                continue
            before = self._struck.get(number, 0)
            self._struck[number] = before + 1
            hits += [fault] if fault.strikes(before) else []
        return hits

    def _noindex(self, requestid: str) -> bool:
        before = self._polled.get(requestid, 0)
        self._polled[requestid] = before + 1
        return any(fault.kind == "noindex" and fault.strikes(before) for fault in self._faults)

    @contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        """Yield the updated state, and keep the changes of the block."""
        with ExitStack() as stack:
            stack.enter_context(self._lock)
            if self._path is None:
                self._settle(self._memory)
                yield self._memory
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(Path(f"{self._path}.lock")))
            before = self._path.read_text() if self._path.exists() else json.dumps(self._memory)
            state = json.loads(before)
            self._settle(state)
            yield state
            after = json.dumps(state, sort_keys=True)
            if after != before:
                write_text(after, self._path)


def _form(args: dict[str, str]) -> tuple[Form, float]:
    """Return a request's form and size ratio."""
    form = Form(
        ds=args["ds"].strip(),
        method=args.get("method") or "url",
        protocol=args.get("protocol") or "as-is",
        process=_process(args),
        filenamefmt=args.get("filenamefmt"),
        seg=args.get("seg", ""),
        max_recs=_number(int, args.get("max_recs"), 0),
        everything=args.get("q", "0") not in ("", "0"),
    )
    return form, _number(float, args.get("sizeratio"), 1.0)


def _process(args: dict[str, str]) -> str:
    """Return the `process` argument. `processing`, JSON with steps, takes precedence."""
    try:
        return read_processing(args["processing"]) if args.get("processing") else args["process"]
    except KeyError:
        return ""
    except ValueError:
        raise Refused(4, "Invalid processing argument.") from None


def _number(kind: Callable[[str], Any], text: str | None, default: Any) -> Any:
    try:
        return kind(text) if text else default
    except ValueError:
        return default


def _accepted(
    status: int, requestid: str, form: Form, wait: int, count: int, size: int
) -> dict[str, Any]:
    return {
        "status": status,
        "requestid": requestid,
        "method": form.method,
        "protocol": form.protocol,
        "wait": wait,
        "rcount": count,
        "size": size,
    }


def _hidden(address: str) -> str:
    """Return the hash that the state has instead of an address."""
    return sha256(address.lower().encode()).hexdigest()[:20]


def error_answer(status: int, error: str) -> Answer:
    """Return an error answer without a RequestID."""
    return Answer(compact({"status": status, "error": error}))


def plain_error(error: str) -> Answer:
    """Return a refusal of an argument, as plain text: the real program reads `format` later."""
    return Answer(f"status=4\nerror={error}\n", PLAIN)


def _shown(answer: dict[str, Any], form: str) -> Answer:
    """Return an answer in the wanted format, JSON or text."""
    if form != "txt":
        return Answer(compact(answer))
    if "requestid" not in answer:
        return Answer("".join(f"{key}={value}\n" for key, value in answer.items()), PLAIN)
    shown = {**answer, "wait": f"{float(answer['wait']):.6f}"}
    lines = [f"{key}={value}\n" for key, value in shown.items() if key != "rcount"]
    return Answer("".join(["# JSOC Data Export Not Ready.\n", *lines]), PLAIN)
