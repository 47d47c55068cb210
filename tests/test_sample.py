"""Partition and draw: the rules at their boundaries, and the draw's formula."""

import hashlib
import random

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import SECONDS, at, events, table
from support.factories import a_quota

from flareset.campaign.events import Event
from flareset.partition import bins_of, partition
from flareset.sample import choose, draw, sampling_log, shortages
from flareset.sdo.flares import Flare


def formula(seed: object, event_id: str, phase: str, bin_: str, record: str) -> str:
    text = f"{seed}|{event_id}|131|{phase}|{bin_}|{record}"
    return hashlib.sha256(text.encode()).hexdigest()


@given(events(), SECONDS, st.integers(0, 3), st.integers(0, 20), st.randoms(), st.data())
@settings(max_examples=60, deadline=None)
def test_the_draw(
    event: Event,
    seconds: list[int],
    each: int,
    around: int,
    rng: random.Random,
    data: st.DataObject,
) -> None:
    quota = a_quota(seed="s", flare=each, pre=around, post=around + 1)
    images = partition(table(sorted(seconds)), event)
    candidates = draw(images, "e", 131, quota)
    bad = data.draw(st.sets(st.sampled_from(seconds))) if seconds else set()
    bad_names = {f"{s:05}.fits" for s in bad}
    chosen = choose(candidates, ~candidates["filename"].isin(bad_names), quota)

    # The same by hand, from the words of the design.
    expected = []
    bins: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for s in seconds:
        t = at(s)
        for phase in ("pre", "flare", "post"):
            inside = {
                "pre": event.window_start <= t < event.flare_start,
                "flare": event.flare_start <= t <= event.flare_end,
                "post": event.flare_end < t <= event.window_end,
            }[phase]
            other = phase != "flare" and any(f.start <= t <= f.end for f in event.other_flares)
            if inside and not other and s not in bad:
                bin_ = t.strftime("%Y-%m-%dT%H:%M") if phase == "flare" else ""
                key = formula("s", "e", phase, bin_, f"aia[{s}]")
                bins.setdefault((phase, bin_), []).append((key, f"{s:05}.fits"))
    for (phase, _), members in bins.items():
        most = {"pre": around, "flare": each, "post": around + 1}[phase]
        expected += [name for _, name in sorted(members)[:most]]
    assert sorted(chosen["filename"]) == sorted(expected)
    assert chosen["filename"].is_unique

    # In any order of rows.
    order = list(range(len(images)))
    rng.shuffle(order)
    shuffled = draw(images.iloc[order].reset_index(drop=True), "e", 131, quota)
    again = choose(shuffled, ~shuffled["filename"].isin(bad_names), quota)
    assert again["filename"].tolist() == chosen["filename"].tolist()

    # Fewer than wanted is said, bin by bin.
    short = shortages(chosen, event, quota)
    wanted = 2 * around + 1 + each * (len(bins_of(event)) - 2)
    assert len(chosen) + (short["wanted"] - short["drawn"]).sum() == wanted


def test_other_flares_may_be_allowed() -> None:
    other = Flare("other", at(100), at(200))
    event = Event("e", at(300), at(400), None, at(0), at(500), (131,), other_flares=(other,))
    images = partition(table([50, 150, 350]), event)
    assert images["other_flare"].tolist() == ["", "other", ""]
    names = {
        mode: draw(images, "e", 131, a_quota(other_flares=mode))["filename"].tolist()
        for mode in ("exclude", "allow")
    }
    assert "00150.fits" not in names["exclude"]
    assert "00150.fits" in names["allow"]


def test_losing_one_image_changes_its_bin_only() -> None:
    event = Event("e", at(600), at(1200), None, at(0), at(1800), (131,))
    images = partition(table(list(range(0, 1800, 12))), event)
    quota = a_quota(seed=3, pre=20, post=20)
    candidates = draw(images, "e", 131, quota)
    everything = pd.Series(True, index=candidates.index)
    before = choose(candidates, everything, quota)
    lost = before[before["phase"] == "flare"].iloc[4]
    everything[lost.name] = False
    after = choose(candidates, everything, quota)
    changed = set(before["filename"]) ^ set(after["filename"])
    assert len(changed) == 2
    assert lost["filename"] in changed
    assert set(after.set_index("filename").loc[[*(changed - {lost["filename"]})], "bin"]) == {
        lost["bin"]
    }


def test_sampling_log_counts_listed_images() -> None:
    event = Event("e", at(570), at(720), None, at(0), at(1800), (131,))  # 23:59:30 to 00:02:00
    images = partition(table([0, 575, 590, 601, 613, 625, 700, 720, 900]), event)
    quota = a_quota(seed=3, pre=0, post=0)
    candidates = draw(images, "e", 131, quota)
    usable = candidates["filename"] != "00720.fits"
    log = sampling_log(images, choose(candidates, usable, quota))
    assert log["hhmm"].tolist() == ["2359", "0000", "0001", "0002"]
    assert log["count"].tolist() == [2, 3, 1, 1]
    assert log["place"].tolist() == ["[0, 1]", "[2, 3, 4]", "[5]", "[6]"]
    assert log["chosen_index"].tolist()[2:] == [5, ""]
    assert log["chosen_file"].tolist()[2:] == ["00700.fits", ""]
    by_place = dict(enumerate(["00575", "00590", "00601", "00613", "00625"]))
    assert log["chosen_file"][1] == f"{by_place[log['chosen_index'][1]]}.fits"


def test_several_images_a_minute() -> None:
    event = Event("e", at(600), at(719), None, at(0), at(1800), (131,))
    images = partition(table(list(range(600, 720, 12))), event)
    quota = a_quota(seed=3, flare=2, pre=0, post=0)
    candidates = draw(images, "e", 131, quota)
    log = sampling_log(images, choose(candidates, pd.Series(True, index=candidates.index), quota))
    assert log["hhmm"].tolist() == ["0000", "0000", "0001", "0001"]
    assert log["chosen_index"].is_monotonic_increasing
