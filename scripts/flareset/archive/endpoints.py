"""Where a campaign's archive is: the servers of its settings, or a stand-in for a rehearsal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flareset.archive.answers import Answers
from flareset.archive.connections import Connections, meeting_place
from flareset.archive.exports import Exporter
from flareset.archive.jsoc import Jsoc
from flareset.archive.transfer import Transfer
from flareset.campaign.access import Access
from flareset.sdo.flares import Flare
from flareset.sdo.series import Series
from flareset.store.store import LOCKS
from flareset.system.loopback import is_loopback

# A server on this machine needs no manners: it is asked more often how an export is getting on.
_LOCAL_POLL, _POLL = 0.2, 5.0


@dataclass(frozen=True)
class Site:
    """The two servers of an archive, and how a campaign with a `store` treats them."""

    access: Access
    data_url: str
    cgi_url: str
    store: Path
    # What is left open is closed with it.
    opened: ExitStack

    def archive(self, arrived: Callable[[int], object]) -> Transfer:
        """The server of files; `arrived` is told of bytes as they come."""
        return Transfer(
            self.data_url,
            self.access.archive.hosts,
            connections=self._connections(self.data_url),
            max_file_size=self.access.archive.max_file_size,
            arrived=arrived,
        )

    def _connections(self, url: str) -> Connections:
        connections = Connections(
            url,
            self.access.archive.connections,
            patience=self.access.archive.patience.total_seconds(),
            folder=self._meeting_place(url),
        )
        self.opened.callback(connections.close)
        return connections

    def _meeting_place(self, url: str) -> Path:
        # Each job of a rehearsal has a stand-in of its own; together they keep to the cap as well.
        return self.store / LOCKS / "rehearsal" if self._rehearses else meeting_place(url)

    @property
    def _rehearses(self) -> bool:
        return self.access.archive.rehearses

    @property
    def _server(self) -> str:
        # The server of a rehearsal has one name, whatever its port.
        return "rehearsal" if self._rehearses else urlsplit(self.cgi_url).netloc.replace(":", "_")

    def jsoc(self, name: str) -> Jsoc:
        """Return the server that knows records and makes exports, for a registered address.

        Its answers are kept in the store, under the archive's `name`.
        """
        return Jsoc(
            self.cgi_url,
            "rehearsal@example.org" if self._rehearses else self.access.archive.email,
            connections=self._connections(self.cgi_url),
            answers=Answers(self.store / name / "answers" / self._server),
            requestor=self.access.manners.requestor,
        )

    def exporter(self, jsoc: Jsoc, name: str, series: Series) -> Exporter:
        """What asks `jsoc` for exports, and remembers them in the store, under the archive's
        `name`."""
        local = is_loopback(self.cgi_url)
        return Exporter(
            jsoc,
            # A RequestID means something to the server that gave it, and to no other.
            self.store / name / "requests" / self._server,
            self._meeting_place(self.cgi_url) / "export.lock",
            series=series,
            wait=self.access.manners.wait.total_seconds(),
            clock=time.monotonic,
            sleep=time.sleep,
            poll=_LOCAL_POLL if local else _POLL,
        )


@contextmanager
def reached(access: Access, sky: list[Flare], store: str | Path) -> Iterator[Site]:
    """The site of a campaign's archive.

    A rehearsal's stand-in, with `sky`'s flares, is started in this process and stopped afterwards;
    what it was asked for lies in the store, for the next one to find.
    """
    archive = access.archive
    if not archive.rehearses:
        with ExitStack() as opened:
            yield Site(access, archive.data_url, archive.cgi_url, Path(store), opened)
        return
    from flareset.standin.server import StandIn, running

    state = Path(store) / "rehearsal-requests.json"
    standin = StandIn(frame_size=archive.frame_size, flares=sky, state=state)
    with running(standin), ExitStack() as opened:
        cgi_url = f"{standin.url}/cgi-bin/ajax/"
        yield Site(access, standin.url, cgi_url, Path(store), opened)


def rehearsal_page(recordset: str, frame_size: int) -> str:
    """Return the export page that the stand-in would write for a recordset."""
    from flareset.standin import catalogue

    return catalogue.listing_page(catalogue.export(recordset, frame_size))
