"""The page of a campaign: its facts in the templates beside this module.

The same tables and images give the same bytes: the page has no date, version or random part.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from flareset.campaign.known import KnownFlares
from flareset.report import charts, words
from flareset.report.facts import CampaignFacts, FlareFacts, read_campaign, read_flares
from flareset.report.flare import CLASSES, Row, flux_of, view_of
from flareset.report.goes import GoesFlux
from flareset.sdo.geometry import solar_radius_arcsec
from flareset.system.files import make_folder, write_text

_SIZES = {"X": "large", "M": "medium"}


class Look(NamedTuple):
    """How much the page shows: the most pictures of a phase, and the most flares on one page."""

    images: int
    one_page: int


@dataclass
class _Tally:
    """The counts over all flares, added up while the flares are read one at a time."""

    found: words.Found = field(default_factory=words.Found)
    classes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    splits: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, facts: FlareFacts) -> None:
        drawn = Counter(image.phase for image in facts.images)
        self.found.add(facts.event.event_id, facts.ledger)
        self.classes[facts.goes_class[:1].upper()] += drawn
        self.splits[facts.split] += drawn


def write_report(
    results: Path,
    config: Path,
    folder: Path,
    look: Look,
    known: KnownFlares | None,
    goes: GoesFlux | None = None,
) -> None:
    """Write `index.html` into a folder; with many flares, also a page of each into `flares/`."""
    campaign = read_campaign(results, config)
    templates = _templates(campaign.phases)
    apart = len(campaign.event_ids) > look.one_page
    files = results / "data_selection" / "fits" / "raw"
    rows, sections, tally = [], {}, _Tally()
    make_folder(folder / "flares") if apart else make_folder(folder)
    for facts in read_flares(results, campaign, known, goes):
        tally.add(facts)
        event_id = facts.event.event_id
        href = f"flares/{event_id}.html" if apart else f"#{event_id}"
        view = view_of(facts, campaign.phases, files, look.images, href)
        rows.append(view.row)
        if apart:
            text = templates.get_template("flare.html").render(view=view)
            write_text(text, folder / view.row.href)
        else:
            sections[event_id] = view
    _remove_others(folder / "flares", {Path(row.href).name for row in rows if apart})
    order = {event_id: n for n, event_id in enumerate(campaign.event_ids)}
    rows.sort(key=lambda row: order[row.event.event_id])
    shown = [sections[row.event.event_id] for row in rows if not apart]
    page = templates.get_template("index.html").render(
        title=words.title(campaign, tally.found),
        verdicts=words.verdicts(campaign, tally.found),
        balance=_balance(campaign, tally),
        rows=rows,
        total=campaign.total,
        views=shown,
        disc=charts.disc(_on_disc(rows)),
        no_place=sum(row.event.hpc_x is None for row in rows),
        years=charts.years([_needle(row) for row in rows]),
        with_class=any(row.goes_class for row in rows),
    )
    write_text(page, folder / "index.html")


def _templates(phases: list[str]) -> Environment:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"time": _time, "count": words.number, "value": words.value}
    found.globals |= {"phases": phases}
    return found


def _remove_others(folder: Path, names: set[str]) -> None:
    """Remove the pages of flares that the campaign no longer has."""
    for path in folder.glob("*.html"):
        if path.name not in names:
            path.unlink()


def _time(when: datetime, form: str = "%Y-%m-%d %H:%M") -> str:
    return when.strftime(form)


def _balance(campaign: CampaignFacts, tally: _Tally) -> list[tuple[str, Counter[str]]]:
    """Return the numbers of images by phase: of all flares, of each class, and of each split."""
    everything = Counter({name: int(campaign.total[name]) for name in campaign.phases})
    found = [("all", everything)]
    if set(tally.classes) - {""}:
        letters = sorted(tally.classes, key=lambda c: "XMCBA".find(c) if c else len("XMCBA"))
        found += [(f"class {c}" if c else "no class", tally.classes[c]) for c in letters]
    if set(tally.splits) - {""}:
        names = [name for name in ("train", "validation", "test", "") if name in tally.splits]
        found += [(name or "in no split", tally.splits[name]) for name in names]
    return found


def _on_disc(rows: list[Row]) -> Iterator[tuple[float, float, str]]:
    for row in rows:
        x, y = row.event.hpc_x, row.event.hpc_y
        if x is not None and y is not None:
            radius = solar_radius_arcsec(row.event.flare_start)
            # A flare far off the limb is drawn at the edge of the disc.
            far = max(1.0, (x * x + y * y) ** 0.5 / radius / 1.08)
            size = _SIZES.get(row.goes_class[:1].upper(), "small")
            yield x / radius / far, y / radius / far, size


def _needle(row: Row) -> tuple[datetime, float]:
    """Return a flare's time, and the height of its needle: by its class, B1 to X10."""
    flux = flux_of(row.goes_class) or 1e-5
    return row.event.flare_peak or row.event.flare_start, charts.logarithmic(flux, *CLASSES)
