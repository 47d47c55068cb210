"""Reach a campaign's archive: the servers in its settings, or a stand-in in a rehearsal."""

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

# Where the stand-in answers as HEK does.
HEK = "/hek/her"
# First pause between two polls of an export (seconds): for a server on this machine, for others.
_LOCAL_POLL, _POLL = 0.2, 5.0


@dataclass(frozen=True)
class Site:
    """The two servers of an archive: for files (`data_url`) and for JSOC's CGI (`cgi_url`)."""

    access: Access
    data_url: str
    cgi_url: str
    store: Path
    # Closes the connections when the site is left.
    opened: ExitStack

    def transfer(self, arrived: Callable[[int], object]) -> Transfer:
        """Return the client of the file server. `arrived` is called with numbers of new bytes."""
        return Transfer(
            self.data_url,
            self.access.archive.hosts,
            connections=self._connections(self.data_url),
            max_file_size=self.access.archive.max_file_size,
            arrived=arrived,
        )

    def lists(self, url: str) -> Transfer:
        """Return the client of the server of a flare list, with the manners towards the archive.

        A list may be a web page.
        """
        address = urlsplit(url)
        return Transfer(
            f"{address.scheme}://{address.netloc}",
            self.access.archive.hosts,
            connections=self._connections(url),
            max_file_size=self.access.archive.max_file_size,
            pages=True,
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
        # Each job of a rehearsal has its own stand-in, but they share the limit of connections.
        standin = self.rehearses and url.startswith(self.data_url)
        return self.store / LOCKS / "rehearsal" if standin else meeting_place(url)

    @property
    def rehearses(self) -> bool:
        """Whether the stand-in takes the archive's place."""
        return self.access.archive.rehearses

    @property
    def _server(self) -> str:
        # The stand-in has another port in each job, but must have one name.
        return "rehearsal" if self.rehearses else urlsplit(self.cgi_url).netloc.replace(":", "_")

    def jsoc(self, name: str) -> Jsoc:
        """Return the client of JSOC's CGI.

        JSOC's answers are kept in the store, in the folder of the archive's `name`.
        """
        return Jsoc(
            self.cgi_url,
            "rehearsal@example.org" if self.rehearses else self.access.archive.email,
            connections=self._connections(self.cgi_url),
            answers=Answers(self.store / name / "answers" / self._server),
            requestor=self.access.manners.requestor,
        )

    def exporter(self, jsoc: Jsoc, name: str, series: Series) -> Exporter:
        """Return the Exporter for `jsoc`. Its notes lie in the store, in the archive's folder."""
        local = is_loopback(self.cgi_url)
        return Exporter(
            jsoc,
            # Only the server that gave a RequestID knows it.
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
    """Yield the site of a campaign's archive.

    In a rehearsal, a stand-in with the flares of `sky` runs in this process during the block. It
    keeps its requests in the store, where the next stand-in finds them.
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


def hek_at(site: Site, url: str) -> str:
    """Return the URL where HEK is asked: in a rehearsal the stand-in's, else `url`."""
    return site.data_url + HEK if site.rehearses else url


def rehearsal_page(recordset: str, frame_size: int, sky: list[Flare]) -> str:
    """Return the export page that the stand-in would write for a recordset, with its flares."""
    from flareset.standin import catalogue

    return catalogue.listing_page(catalogue.export(recordset, frame_size, sky))
