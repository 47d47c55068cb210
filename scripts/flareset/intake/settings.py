"""What the config says of the intake, as the intake takes it."""

from __future__ import annotations

from flareset.campaign.config import Intake
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
    least, most = (*chosen.goes_class, None, None)[:2]
    return Wanted(
        scale=intake.scale,
        begin=chosen.begin,
        end=chosen.end,
        least_flux=least and class_flux(least),
        most_flux=most and class_flux(most),
        longitude=chosen.disk.longitude,
        latitude=chosen.disk.latitude,
        radius=chosen.disk.radius,
        regions=chosen.regions,
        region_required="region" in chosen.require,
        position_required="position" in chosen.require,
        apart=chosen.apart,
        apart_flux=class_flux(chosen.apart_class) or 0.0,
        strongest=keep.strongest,
        sample=keep.sample,
        per=keep.per,
        by=keep.by,
        seed=keep.seed,
    )
