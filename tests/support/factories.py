"""Make small objects with usual values, so that a test names only the values it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from flareset.campaign.config import Quality
from flareset.campaign.events import Event
from flareset.candidates import Rules, candidates_of
from flareset.draw import rank
from flareset.job import Job
from flareset.listing import list_page
from flareset.sdo.series import SERIES
from flareset.sdo.times import parse_utc
from flareset.sources.query import Query
from flareset.tables.rows import Row

BASE = datetime(2014, 1, 7, 23, 50, tzinfo=UTC)
EUV = SERIES["aia.lev1_euv_12s"]
HOSTS = ["jsoc.stanford.edu", "jsoc1.stanford.edu"]


def rejecting(*bits: str, exposure: str = "any", **others: Any) -> Rules:
    """Return rules that reject images with these QUALITY bits."""
    return Rules(Quality(reject=bits), exposure, **others)


DARK = rejecting("dark")


def at(seconds: float) -> datetime:
    """Return a time, in seconds from BASE."""
    return BASE + timedelta(seconds=seconds)


def an_event(
    flare: tuple[float | str | datetime, float | str | datetime] = (600, 1200),
    window: tuple[float | str | datetime, float | str | datetime] = (0, 1800),
    **over: object,
) -> Event:
    """Return an event. Its times are seconds from BASE, texts, or times."""
    usual = {
        "event_id": "e",
        "flare_start": _time(flare[0]),
        "flare_end": _time(flare[1]),
        "flare_peak": None,
        "window_start": _time(window[0]),
        "window_end": _time(window[1]),
    }
    return Event(**{**usual, **over})


def _time(moment: float | str | datetime) -> datetime:
    if isinstance(moment, datetime):
        return moment
    return parse_utc(moment) if isinstance(moment, str) else at(moment)


# A flare of five minutes in a window of twelve.
SHORT = an_event(
    flare=("2014-01-07 18:05:34", "2014-01-07 18:09:58"),
    window=("2014-01-07 18:01:00", "2014-01-07 18:13:00"),
    event_id="test",
)


def a_query(event: Event, **over: object) -> Query:
    """Return the query of an event in a campaign of EUV images."""
    usual = {
        "wavelength": 131,
        "series": EUV,
        "segment": "image",
        "wavelengths": [131],
        "method": "url",
        "protocol": "FITS",
        "filename_format": "",
        "processing": (),
    }
    return Query(event, **{**usual, **over})


def a_job(page: str, event: Event, *, seed: int | str = 1, reject: Iterable[str] = ()) -> Job:
    """Return the tables that `list` and `draw` make for an event with a saved page."""
    found = list_page(a_query(event), page, hosts=HOSTS, accept=False)
    candidates = candidates_of(found.records, event, rejecting(*reject))
    ranked = rank(candidates, event.event_id, seed)
    return Job(event, 131, EUV, "image", found.records, found.listing, found.facts, ranked)


def records_at(
    seconds: Iterable[float],
    wavelength: int = 131,
    *,
    late: float = 0,
    dark: Collection[float] = (),
    short: Collection[float] = (),
    **over: Any,
) -> list[Row]:
    """Return made-up records, each observed `late` seconds after its T_REC.

    `seconds` count from BASE. `dark` and `short` are the seconds of records with such an image.
    All records have the values `over`.
    """
    return [
        {
            "record": f"aia[{second}][{wavelength}]",
            "t_rec": at(second),
            "time": at(second + late),
            "wavelength": wavelength,
            "QUALITY": "0x00010000" if second in dark else "0x00000000",
            "EXPTIME": "2.9",
            "AIMGSHCE": "250" if second in short else "2900",
            "AECTYPE": "0",
            "status": "",
            "reason": "",
            **over,
        }
        for second in seconds
    ]


def some_candidates(
    event: Event,
    seconds: Iterable[float],
    *,
    seed: int | str = 1,
    rules: Rules = DARK,
    **over: object,
) -> list[Row]:
    """Return the ranked candidates of made-up records of one channel."""
    found = candidates_of(records_at(seconds, **over), event, rules)
    return rank(found, event.event_id, seed)
