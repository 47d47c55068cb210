"""What the config says of the intake, as the intake takes it."""

from __future__ import annotations

from dataclasses import replace

from flareset.campaign.config import Criteria, Intake
from flareset.intake.merging import Preferences
from flareset.intake.outcome import Cleaning
from flareset.intake.selection import Wanted
from flareset.sdo.flares import class_flux


def cleaning_of(intake: Intake) -> Cleaning:
    """Return how rows are cleaned and merged."""
    conflicts = intake.conflicts
    return Cleaning(
        longest=intake.longest,
        at_most_dropped=intake.at_most_dropped,
        sources=intake.sources,
        preferences=Preferences(
            times=intake.times,
            scale=intake.scale,
            ar=conflicts.ar,
            position=conflicts.position,
            goes_class=conflicts.goes_class,
        ),
    )


def wanted_of(intake: Intake) -> Wanted:
    """Return which flares are selected."""
    chosen, keep = intake.select, intake.select.keep
    return replace(
        fitting(chosen, intake.scale),
        apart=chosen.apart,
        apart_flux=class_flux(chosen.apart_class) or 0.0,
        strongest=keep.strongest,
        sample=keep.sample,
        per=keep.per,
        by=keep.by,
        seed=keep.seed,
    )


def fitting(asked: Criteria, scale: str) -> Wanted:
    """Return which flares fit what is asked, with classes on a scale."""
    least, most = (*asked.goes_class, None, None)[:2]
    return Wanted(
        scale=scale,
        begin=asked.begin,
        end=asked.end,
        least_flux=least and class_flux(least),
        most_flux=most and class_flux(most),
        longitude=asked.disk.longitude,
        latitude=asked.disk.latitude,
        radius=asked.disk.radius,
        regions=asked.regions,
        region_required="region" in asked.require,
        position_required="position" in asked.require,
    )
