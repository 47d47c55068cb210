"""The sentences of the page, verdicts first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from flareset.phases import PHASES
from flareset.report.facts import CampaignFacts, Entry
from flareset.tables.status import Status

# Keywords of these kinds should not tell the label. Those of the scene and the time may.
_TELLING_KINDS = ("instrument", "carried")
_MOST_NAMED = 4
_WHERE = {"pre": "before the flare", "flare": "of the flare", "post": "after the flare"}
# The lanes of a window, in this order, and what each means.
MEANINGS = {
    Status.VERIFIED: "on disk, and proven to be the image of its record",
    Status.FAILED: "asked for, but the archive did not deliver it",
    Status.REJECTED: "by QUALITY, exposure, another flare or the guard",
    Status.NO_RECORD: "the archive has nothing in this slot",
    Status.NO_IMAGE: "the archive has the record, but no image of it",
    Status.OUTSIDE: "outside the window",
    Status.NOT_NEEDED: "there, and not drawn",
}


class Verdict(NamedTuple):
    """A finding: its grade (`good`, `note` or `bad`), heading, sentences, and a link to details."""

    grade: str
    head: str
    sentences: list[str]
    link: str


@dataclass
class Found:
    """The slots of all flares: counts by status; `rejected` by reason, others by event."""

    statuses: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    short: Counter[str] = field(default_factory=Counter)

    def add(self, event_id: str, entries: Iterable[Entry]) -> None:
        """Add the slots of a flare to the counts."""
        for entry in entries:
            self.statuses[entry.status] += 1
            if entry.status == Status.REJECTED:
                self.rejected[_kind_of(entry.reason)] += 1
            elif entry.status == Status.FAILED:
                self.failed[event_id] += 1
            elif entry.status == Status.SHORT:
                self.short[event_id] += 1


def number(value: int, word: str = "", plural: str = "") -> str:
    """Return a count with its word: `1 image`, `2,378 images`."""
    said = plural or f"{word}s"
    return f"{value:,} {word if value == 1 else said}" if word else f"{value:,}"


def value(value: float) -> str:
    """Return a value rounded to three digits, or to a whole number from 100 upwards."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def title(campaign: CampaignFacts, found: Found) -> str:
    """Return the campaign's numbers of flares, images and gaps in a line."""
    flares = number(len(campaign.event_ids), "flare")
    images = number(int(campaign.total["total"]), "image")
    short = found.statuses[Status.SHORT]
    gaps = number(short, "gap") if short else "nothing missing"
    return f"{flares}, {images}, {gaps}"


def verdicts(campaign: CampaignFacts, found: Found) -> list[Verdict]:
    """Return the verdicts: what was asked, is there, is missing, leaks, and how sets are split."""
    return [
        _asked(campaign),
        _there(campaign),
        _missing(found),
        _leaks(campaign),
        _splits(campaign),
    ]


def _asked(campaign: CampaignFacts) -> Verdict:
    config, sample = campaign.config, campaign.config["sample"]
    channels = sorted({int(row["wavelength"]) for row in campaign.summary})
    waves = ", ".join(map(str, channels))
    sentences = [
        f"{number(len(campaign.event_ids), 'flare')} at {waves} Å, {config['series']},"
        f" by {config['source']}.",
        f"Drawn by the seed {sample['seed']}: {_quotas(sample)}.",
    ]
    made_up = config["archive"]["kind"] == "rehearsal"
    if made_up:
        sentences.append("A rehearsal: the images are made up, nothing in them was observed.")
    return Verdict("note" if made_up else "good", "Asked for", sentences, "../provenance.json")


def _quotas(sample: Mapping[str, Any]) -> str:
    """Return how many images the config asks for, by phase in the order of time."""
    asked = []
    for phase in PHASES:
        where = _WHERE.get(phase.name, f"of {phase.name}")
        if phase.bin:
            minutes = phase.bin / timedelta(minutes=1)
            each = "minute" if minutes == 1 else f"{minutes:g} minutes"
            where = f"in each {each} {where}"
        asked.append(f"{number(sample[phase.quota], 'image')} {where}")
    return ", ".join(asked)


def _there(campaign: CampaignFacts) -> Verdict:
    total = {name: int(campaign.total[name]) for name in ("pre", "flare", "post", "total")}
    phases = (
        f"{total['pre']:,} from before, {total['flare']:,} in and {total['post']:,} from after"
        " the flares"
    )
    others = [f"; {int(campaign.total[n]):,} in {n}" for n in campaign.phases if n not in total]
    sentences = [f"{number(total['total'], 'image')}: {phases}{''.join(others)}."]
    outside = int(campaign.total["short_outside"])
    if outside:
        sentences.append(
            f"Short exposures outside every listed flare: {outside:,}. Does the list lack a flare?"
        )
    grade = "note" if outside else "good" if total["total"] else "bad"
    return Verdict(grade, "There", sentences, "../data_selection/images.csv")


def _missing(found: Found) -> Verdict:
    sentences = []
    failed, short = found.statuses[Status.FAILED], found.statuses[Status.SHORT]
    if short:
        bins = number(short, "minute or phase has", "minutes or phases have")
        sentences.append(f"{bins} fewer images than wanted: {_named(found.short)}.")
    else:
        sentences.append("Nothing: every minute and phase has the images that were wanted.")
    if failed:
        sentences.append(
            f"{number(failed, 'image')} could not be had: {_named(found.failed)}. Others of the"
            " draw took their place where there were any; a new run asks for them again."
        )
    gone = [
        f"{number(found.statuses[status], thing)} without {lacking}"
        for status, thing, lacking in (
            (Status.NO_RECORD, "slot", "a record"),
            (Status.NO_IMAGE, "record", "an image"),
        )
        if found.statuses[status]
    ]
    if gone:
        sentences.append(f"The archive itself has gaps: {' and '.join(gone)}.")
    if found.rejected:
        sentences.append(f"Not accepted for the draw: {_named(found.rejected)}.")
    grade = "bad" if short else "note" if failed else "good"
    return Verdict(grade, "Missing", sentences, "../ledger/")


def _leaks(campaign: CampaignFacts) -> Verdict:
    link = "../data_selection/leaks.csv"
    judged = [row for row in campaign.leaks if row["kind"] in _TELLING_KINDS]
    if not judged:
        return Verdict("note", "Leaks", ["No keyword of the camera was judged."], link)
    leaks = {
        f"{row['keyword']} at {row['wavelength']} Å": float(row["auc"])
        for row in judged
        if row["verdict"] == "leak"
    }
    if leaks:
        told = _named(leaks, "AUC {:.2f}")
        sentences = [
            f"Without a pixel, the label is told by {told}.",
            "What to do for each keyword is in docs/splits.md, under “A leak, and now?”.",
        ]
        return Verdict("bad", "Leaks", sentences, link)
    names = {row["keyword"] for row in judged}
    weak = sorted({row["keyword"] for row in judged if row["verdict"].startswith("weak")})
    sentences = [f"No keyword of the {len(names)} judged tells the label by itself."]
    if weak:
        sentences.append(f"Weak signs, more than chance but uncertain: {', '.join(weak)}.")
    return Verdict("note" if weak else "good", "Leaks", sentences, link)


def _splits(campaign: CampaignFacts) -> Verdict:
    audit = campaign.audit
    parts = ", ".join(
        f"{name} {held['images']:,}" for name in ("train", "validation", "test")
        if (held := audit["splits"].get(name))
    )  # fmt: skip
    link = "../data_selection/audit.md"
    if audit["breaches"]:
        text = f"The audit found {number(len(audit['breaches']), 'breach', 'breaches')}."
        return Verdict("bad", "Splits", [text], link)
    if audit["folds"] and not parts:
        sentences = [
            f"{number(len(audit['folds']), 'fold')} of flares (the column `fold` of splits.csv), no"
            " split. The audit found nothing that folds share."
        ]
        return Verdict("note", "Splits", sentences + _as_sentences(audit["notes"]), link)
    if not parts:
        notes = audit["notes"][:1] or ["no split was asked for"]
        return Verdict("note", "Splits", [f"None: {notes[0]}."], link)
    groups = number(audit["groups"], "group")
    sentences = [
        f"By {groups} of flares, images: {parts}. The audit found nothing that they share."
    ]
    sentences += _as_sentences(audit["notes"])
    return Verdict("note" if audit["notes"] else "good", "Splits", sentences, link)


def _as_sentences(notes: list[str]) -> list[str]:
    """Return the first notes of an audit as sentences."""
    return [f"{note[0].upper()}{note[1:]}." for note in notes[:3]]


def _kind_of(reason: str) -> str:
    """Return a reason up to its first mark (`;`, `,` or `:`); the rest differs between images."""
    return re.split("[;,:]", reason)[0].strip()


def _named(counts: Mapping[str, float], form: str = "{:,}") -> str:
    """Return the names of the largest counts, with the counts, and the number of further names."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    said = ", ".join(f"{name} ({form.format(count)})" for name, count in most[:_MOST_NAMED])
    more = len(most) - _MOST_NAMED
    return f"{said}, and {more} more" if more > 0 else said
