"""Merge what lists say of one flare: duplicates in a source, the same flare in several sources.

The result depends on what the lists say and on their rank, not on the order of rows or files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple

from flareset.intake.cleaning import OWN, Change, Report
from flareset.intake.flares import ListedFlare, named, order
from flareset.intake.regions import APART, degrees_apart, off_region
from flareset.intake.rows import Note, Row
from flareset.intake.values import on_scale, same_class
from flareset.sdo.matching import last, match, near, overlap, peaks_apart
from flareset.sdo.times import iso

# Of lists of one rank these go first: official before derived.
_FIRST = (OWN, "swpc", "ngdc", "flsum", "hec_goes", "donki", "ssw", "hec_gevloc")
_MINUTE = timedelta(minutes=1)
_NOTHING = timedelta(0)
# By how much classes on two scales may differ after conversion: GOES-15 by 0.67 to 0.72, not 0.7.
_CONVERTED = 1.08

# Where lists differ: the first list's value, or none.
Choice = Literal["first", "blank"]


@dataclass(frozen=True)
class Preferences:
    """What holds where lists differ.

    `times` is the source whose interval is the flare's, or `goes`: the first that is no observer.
    """

    times: str = "goes"
    scale: str = "operational"
    ar: Choice = "first"
    position: Choice = "first"
    goes_class: Choice = "first"


class Merged(NamedTuple):
    """The flares by time, what was changed, and the flare of each row by its file and line."""

    flares: list[ListedFlare]
    changes: list[Change]
    flare_of: dict[tuple[str, int], str]


@dataclass
class _Group:
    """The reports of one flare in the order of their sources, the leading one of each first."""

    reports: list[Report] = field(default_factory=list)
    observers: list[Report] = field(default_factory=list)


def merge(reports: Iterable[Report], preferences: Preferences) -> Merged:
    """Return each flare once, and what was changed on the way.

    Observers and AIA's detector have flares of their own only where no GOES list is there.
    """
    sources = list(_by_source(reports))
    goes = [found for found in sources if _is_goes(found)]
    observers = [found for found in sources if not _is_goes(found)]
    changes: list[Change] = []
    groups: list[_Group] = []
    for found in goes or observers:
        _add(groups, _without_copies(found, changes), changes)
    for found in observers if goes else ():
        _attach(groups, _without_copies(found, changes), changes)
    return _finished(groups, preferences, changes)


def _finished(groups: list[_Group], preferences: Preferences, changes: list[Change]) -> Merged:
    """Return the flares of groups, named; one that never ends is dropped."""
    whole: list[tuple[ListedFlare, _Group]] = []
    for group in groups:
        flare = _flare_of(group, preferences, changes)
        if flare.end is None:
            changes += [_change(r.row, "dropped.no_end", "end") for r in group.reports]
        else:
            whole.append((flare, group))
    whole.sort(key=lambda pair: order(pair[0]))
    flares = _flagged(named(flare for flare, _ in whole), [group for _, group in whole], changes)
    flare_of = {
        (report.row.file, report.row.line): flare.flare_id
        for flare, (_, group) in zip(flares, whole, strict=True)
        for report in (*group.reports, *group.observers)
    }
    return Merged(flares, changes, flare_of)


def _flagged(
    flares: list[ListedFlare], groups: list[_Group], changes: list[Change]
) -> list[ListedFlare]:
    """Return flares, those flagged that lie elsewhere than the others of their region."""
    flares = list(flares)
    for place in sorted(off_region(flares)):
        row = groups[place].reports[0].row
        if row.source != OWN:  # flagged already, if it was
            flare = flares[place]
            before = f"{_place_text(flare)} {flare.noaa_ar}"
            changes.append(_change(row, "position.off_ar", "position", before, before))
            flares[place] = replace(flare, flags=flare.flags | {"position.off_ar"})
    return flares


def _change(row: Row, rule: str, column: str = "", before: str = "", after: str = "") -> Change:
    return Change(row, Note(rule, column, before, after))


# Sources


def _by_source(reports: Iterable[Report]) -> Iterator[list[Report]]:
    """Yield the reports of each source of each rank, in the order in which sources count."""
    found: dict[tuple[int, int, str], list[Report]] = {}
    for report in reports:
        name = report.source
        place = _FIRST.index(name) if name in _FIRST else len(_FIRST)
        found.setdefault((report.rank, place, name), []).append(report)
    for place in sorted(found):
        yield sorted(found[place], key=_content)


def _content(report: Report) -> tuple[Any, ...]:
    """Return what reports are sorted by; file and line decide between equal ones alone.

    Of tables of our own, which hold the same flares, that with more columns goes first.
    """
    columns = -len(report.row.cells) if report.source == OWN else 0
    return columns, *order(report.flare), report.row.whole, report.row.file, report.row.line


def _is_goes(reports: Sequence[Report]) -> bool:
    """Return whether a source reports flares as GOES sees them, or as a list of somebody's own.

    What HEK has from AIA's detector and from observers says by which method, and has no class.
    """
    if reports[0].source in _FIRST or not reports[0].row.cells.get("method"):
        return True
    return any(report.flare.goes_class for report in reports)


def _without_copies(reports: list[Report], changes: list[Change]) -> list[Report]:
    """Return a source's reports without those that it has already, letter by letter."""
    kept: list[Report] = []
    seen: dict[tuple[Any, ...], Row] = {}
    for report in reports:
        row, flare = report.row, report.flare
        satellite = "" if report.source == OWN else flare.satellite
        named_alike = (row.key, flare.start, satellite) if row.key else None
        first = seen.get((row.whole,)) or (named_alike and seen.get(named_alike))
        if first:
            changes.append(_change(row, "duplicate.exact", "", iso(flare.start), first.where))
            continue
        seen[(row.whole,)] = row
        if named_alike:
            seen[named_alike] = row
        kept.append(report)
    return kept


# Groups


def _add(groups: list[_Group], reports: list[Report], changes: list[Change]) -> None:
    """Add the reports of a source to the flares that are there, or as new ones."""
    reports, twins = _twins(reports, changes)
    found = _matched(groups, reports, twins)
    joined: dict[int, list[Report]] = {}
    for place, report in enumerate(reports):
        group = found.get(place)
        if group is None:
            family = sorted(twins.get(place, ()))
            group = next((found[twin] for twin in family if twin in found), None)
        if group is None:
            group = _Group()
            groups.append(group)
            # Those that come later in the family find it there.
            found[place] = group
        found.setdefault(place, group)
        joined.setdefault(id(group), []).append(report)
    usual = _usual_satellites(reports)
    for group in groups:
        if mine := joined.get(id(group)):
            _join(group, mine, usual, changes)


def _matched(
    groups: list[_Group], reports: list[Report], twins: dict[int, set[int]]
) -> dict[int, _Group]:
    """Return the flare of each report that an earlier source has too, source by source."""
    found: dict[int, _Group] = {}
    for source in dict.fromkeys(r.source for group in groups for r in group.reports):
        theirs = _free_reports(groups, found, source)
        known = {*found}.union(*(twins.get(place, ()) for place in found))
        left = [place for place in range(len(reports)) if place not in known]
        pairs = match([report for report, _ in theirs], [reports[place] for place in left])
        for mine, other in pairs.items():
            found[left[mine]] = theirs[other][1]
    return found


def _free_reports(
    groups: list[_Group], found: dict[int, _Group], source: str
) -> list[tuple[Report, _Group]]:
    """Return a source's reports, with their flares, of flares that are not found yet."""
    done = {id(group) for group in found.values()}
    free = (group for group in groups if id(group) not in done)
    return [(r, group) for group in free for r in group.reports if r.source == source]


def _twins(
    reports: list[Report], changes: list[Change]
) -> tuple[list[Report], dict[int, set[int]]]:
    """Return a source's reports, and which are one flare, by their places.

    Those that are nearly one are two, and flagged.
    """
    reports = list(reports)
    twins: dict[int, set[int]] = {}
    if reports[0].source == OWN:  # what was merged and named already
        return reports, twins
    for i, j in sorted(near(reports, reports)):
        if i >= j:
            continue
        a, b = reports[i], reports[j]
        if _are_one(a, b):
            family = {i, j} | twins.get(i, set()) | twins.get(j, set())
            for place in family:
                twins[place] = family
        elif _are_nearly_one(a, b):
            changes.append(_change(b.row, "near_duplicate", "", iso(b.start), a.row.where))
            for place in (i, j):
                flare = reports[place].flare
                flagged = replace(flare, flags=flare.flags | {"near_duplicate"})
                reports[place] = replace(reports[place], flare=flagged)
    return reports, twins


def _are_one(a: Report, b: Report) -> bool:
    """Return whether two reports of one source are the same flare.

    A GOES list has no two flares at once; of an observer's only those are one that agree in all
    times.
    """
    if not _classes_agree(a, b):
        return a.source not in _FIRST and _times_of(a) == _times_of(b)
    if a.start == b.start:
        return True
    together = a.start <= last(b) and b.start <= last(a)
    return together and peaks_apart(a, b) <= _MINUTE


def _classes_agree(a: Report, b: Report) -> bool:
    mine, other = a.flare.goes_class, b.flare.goes_class
    if a.source in _FIRST and not (mine and other):
        return True
    return same_class(mine, other) or (mine == other != "")


def _times_of(report: Report) -> tuple[datetime | None, ...]:
    return report.start, report.peak, report.end


def _are_nearly_one(a: Report, b: Report) -> bool:
    classes = a.flare.goes_class and b.flare.goes_class
    return bool(classes) and peaks_apart(a, b) <= _MINUTE and overlap(a, b) > _NOTHING


def _usual_satellites(reports: Iterable[Report]) -> dict[date, str]:
    """Return which satellite reports most flares of a day; of equal ones the first by name."""
    days: dict[date, Counter[str]] = {}
    for report in reports:
        days.setdefault(report.start.date(), Counter())[report.flare.satellite] += 1
    return {day: min(n, key=lambda name: (-n[name], name)) for day, n in days.items()}


def _join(
    group: _Group, reports: list[Report], usual: dict[date, str], changes: list[Change]
) -> None:
    """Add the reports of one source to a flare, the leading one first.

    That is the one whose peak is that of the earlier sources, which has a region, is of the usual
    satellite of the day, is shortest.
    """
    peak = next((report for report in group.reports if report.peak), None)

    def place(report: Report) -> tuple[Any, ...]:
        flare = report.flare
        return (
            peak is not None and peaks_apart(report, peak) > _MINUTE,
            flare.noaa_ar is None,
            flare.satellite != usual[report.start.date()],
            last(report) - report.start,
            _content(report),
        )

    leading, *others = sorted(reports, key=place)
    for other in others:
        before = f"{iso(other.start)}/{iso(other.end) if other.end else ''}"
        changes.append(_change(other.row, "duplicate.satellites", "", before, leading.row.where))
    group.reports += [leading, *others]


def _attach(groups: list[_Group], reports: list[Report], changes: list[Change]) -> None:
    """Give the reports of an observer to the flares that they overlap longest."""
    spans = [group.reports[0] for group in groups]
    best: dict[int, tuple[Any, ...]] = {}
    for i, j in near(spans, reports):
        together = overlap(spans[i], reports[j])
        if together > _NOTHING:
            key = (-together, peaks_apart(spans[i], reports[j]), order(spans[i].flare), i)
            best[j] = min(best.get(j, key), key)
    for j, report in enumerate(reports):
        rule = "observer.attached" if j in best else "observer.alone"
        changes.append(_change(report.row, rule, "", iso(report.start)))
        if j in best:
            groups[best[j][-1]].observers.append(report)


# One flare


@dataclass(frozen=True)
class _Chosen:
    """Whose times, class, region and position a flare has."""

    base: Report
    classed: Report | None
    regional: Report | None
    placed: Report | None

    def without(self, wrong: set[str], preferences: Preferences) -> _Chosen:
        """Return the choice without what lists differ on and preferences then leave blank."""
        return replace(
            self,
            classed=_unless_blank(self.classed, "conflict.class", wrong, preferences.goes_class),
            regional=_unless_blank(self.regional, "conflict.ar", wrong, preferences.ar),
            placed=_unless_blank(self.placed, "conflict.position", wrong, preferences.position),
        )

    @property
    def flags(self) -> set[str]:
        """The flags of all reports that a value is from."""
        given = (self.base, self.classed, self.regional, self.placed)
        return {flag for report in given if report is not None for flag in report.flare.flags}


def _unless_blank(
    report: Report | None, rule: str, wrong: set[str], choice: Choice
) -> Report | None:
    return None if rule in wrong and choice == "blank" else report


def _choose(group: _Group, preferences: Preferences) -> _Chosen:
    """Return whose values count: the first source's that has them, times by preference."""
    reports = group.reports
    base = _base(group, preferences.times)
    on_scale = _first(reports, lambda f: f.goes_class and f.scale == preferences.scale)
    leading = _leading(reports)
    placed = _first(leading, lambda f: f.has_position)
    if base.source != reports[0].source and base.flare.has_position:
        placed = base
    return _Chosen(
        base,
        on_scale or _first(reports, lambda f: f.goes_class),
        _first(leading, lambda f: f.noaa_ar),
        placed,
    )


def _flare_of(group: _Group, preferences: Preferences, changes: list[Change]) -> ListedFlare:
    """Return the flare of a group: each value from the first source that has it."""
    reports = group.reports
    chosen = _choose(group, preferences)
    conflicts = _conflicts(reports, chosen)
    wrong = {change.note.rule for change in conflicts}
    chosen = chosen.without(wrong, preferences)
    flags = chosen.flags | (wrong & {"conflict.ar", "conflict.position"})
    flare = _with_values(_with_times(chosen.base, reports, changes), chosen)
    if _elsewhere(chosen.regional, chosen.placed):
        flags.add("position.other_source")
        conflicts.append(_change(chosen.placed.row, "position.other_source", "position",
                                 chosen.placed.flare.position_from, flare.ar_from))  # fmt: skip
    changes += conflicts
    everybody = [report.flare for report in (*reports, *group.observers)]
    return replace(
        flare,
        sources=tuple(dict.fromkeys(s for each in everybody for s in each.sources)),
        flags=frozenset(flags),
        reports=tuple(sorted({r for each in everybody for r in each.reports})),
        intervals=tuple(sorted({i for each in everybody for i in each.intervals})),
    )


def _elsewhere(regional: Report | None, placed: Report | None) -> bool:
    """Return whether the position is of a source that does not name the flare's region."""
    if regional is None or placed is None or regional.source == placed.source:
        return False
    return placed.flare.noaa_ar != regional.flare.noaa_ar


def _base(group: _Group, times: str) -> Report:
    """Return the report whose interval is the flare's."""
    first = group.reports[0]
    if times == "goes":
        return first
    mine = [r for r in (*group.reports, *group.observers) if r.source == times and r.end]
    # The detector may see a weak flare elsewhere on the Sun at the same time.
    return min(
        mine,
        key=lambda r: (-(r.flare.fl_peakflux or 0), -overlap(first, r), _content(r)),
        default=first,
    )


def _leading(reports: Iterable[Report]) -> list[Report]:
    """Return the first report of each source: its others may lie elsewhere on the Sun."""
    found: dict[str, Report] = {}
    for report in reports:
        found.setdefault(report.source, report)
    return list(found.values())


def _first(reports: Iterable[Report], has: Callable[[ListedFlare], object]) -> Report | None:
    return next((report for report in reports if has(report.flare)), None)


def _with_times(base: Report, reports: Sequence[Report], changes: list[Change]) -> ListedFlare:
    """Return the base's flare, a peak or an end that it lacks taken from the next source."""
    flare = base.flare
    if flare.end is None:
        after = flare.peak or flare.start
        if other := _first(reports, lambda f: f.end and f.end > after):
            flare = replace(flare, end=other.end, end_from=other.flare.end_from)
            changes.append(_filled(base, "end", other.end))
    end = flare.end
    if flare.peak is None and end is not None:
        other = _first(reports, lambda f: f.peak is not None and flare.start <= f.peak <= end)
        if other is not None:
            flare = replace(flare, peak=other.peak, peak_from=other.flare.peak_from)
            changes.append(_filled(base, "peak", other.peak))
    return flare


def _filled(base: Report, column: str, value: datetime | None) -> Change:
    before = base.row.cells.get(column, "")
    return _change(base.row, f"{column}.filled", column, before, iso(value) if value else "")


# Fluxes go with the class: those of another satellite are on another scale.
_CLASS = (
    "goes_class", "peak_flux", "scale", "background_flux", "integrated_flux", "class_from",
)  # fmt: skip
_REGION = ("noaa_ar", "ar_from")
_POSITION = ("hgs_lon", "hgs_lat", "hpc_x", "hpc_y", "position_from")


def _with_values(flare: ListedFlare, chosen: _Chosen) -> ListedFlare:
    """Return a flare with class, region and position of the chosen, or without."""
    none = ListedFlare("", flare.start)
    values = {}
    parts = ((chosen.classed, _CLASS), (chosen.regional, _REGION), (chosen.placed, _POSITION))
    for report, names in parts:
        given = report.flare if report is not None else none
        values |= {name: getattr(given, name) for name in names}
    return replace(flare, **values, satellite=(chosen.classed or chosen.base).flare.satellite)


# Conflicts


def _conflicts(reports: Sequence[Report], chosen: _Chosen) -> list[Change]:
    """Return a line for each value of another source that differs from the flare's."""
    found = []
    for report in _leading(reports):
        found += [Change(report.row, note) for note in _differences(report, chosen)]
    return sorted(found, key=lambda change: (change.note, change.row.file, change.row.line))


def _differences(report: Report, chosen: _Chosen) -> Iterator[Note]:
    """Yield in what a report differs from those that were chosen."""
    mine, base = report.flare, chosen.base
    if report.peak and base.peak and peaks_apart(report, base) > _MINUTE:
        yield Note("conflict.peak", "peak", iso(report.peak), iso(base.peak))
    if chosen.classed is not None and _classes_differ(mine, chosen.classed.flare):
        texts = (_class_text(mine), _class_text(chosen.classed.flare))
        yield Note("conflict.class", "goes_class", *texts)
    if chosen.regional is not None and mine.noaa_ar not in (None, chosen.regional.flare.noaa_ar):
        texts = (str(mine.noaa_ar), str(chosen.regional.flare.noaa_ar))
        yield Note("conflict.ar", "noaa_ar", *texts)
    if chosen.placed is not None and _places_differ(mine, chosen.placed.flare):
        texts = (_place_text(mine), _place_text(chosen.placed.flare))
        yield Note("conflict.position", "position", *texts)


def _classes_differ(a: ListedFlare, b: ListedFlare) -> bool:
    if a.flux is None or b.flux is None:
        return False
    if a.scale == b.scale:
        return a.goes_class != b.goes_class
    ratio = on_scale(a.flux, a.scale, b.scale) / b.flux
    return not 1 / _CONVERTED <= ratio <= _CONVERTED


def _class_text(flare: ListedFlare) -> str:
    return f"{flare.goes_class} {flare.scale}"


def _places_differ(a: ListedFlare, b: ListedFlare) -> bool:
    if a.position is None or b.position is None:
        return False
    return degrees_apart(a.position, b.position) > APART


def _place_text(flare: ListedFlare) -> str:
    return f"{flare.hgs_lon:g} {flare.hgs_lat:g}"
