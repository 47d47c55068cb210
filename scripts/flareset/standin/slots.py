"""The slots of T_REC that a time, a span or a cadence selects.

Source: drms_keyword_priv.h (CalcSlot) and recorded answers. DRMS does not compare a time with
T_REC: it turns each time into the number of the nearest slot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from flareset.sdo.series import Series
from flareset.standin.drmstime import moment, scan, seconds_of

# AIA's slots are centred on :04 past a minute of TAI, and their T_REC is 4 s earlier.
AIA_EPOCH, AIA_LEAD = "1993.01.01_00:00:04_TAI", 4.0
HMI_EPOCH, LEV1_EPOCH = "1993.01.01_00:00:00_TAI", "1977.01.01_00:00:00_TAI"


@dataclass(frozen=True)
class Slots:
    """The slots of a time keyword: slot n is centred on `epoch` + n x `step` (DRMS seconds).

    The T_REC of a record is `lead` seconds before the centre.
    """

    epoch: float
    step: float
    lead: float = 0.0

    def index(self, seconds: float) -> int:
        """Return the number of the slot that contains a time: the nearest slot."""
        return math.floor((seconds - self.epoch) / self.step + 0.5)

    def count(self, duration: float) -> int:
        """Return the number of slots that a span selects: only whole slots, but at least one."""
        return max(1, math.floor(duration / self.step))

    def skip(self, cadence: float) -> int:
        """Return a cadence in slots, rounded half up."""
        return math.floor(cadence / self.step + 0.5)

    def centre(self, index: int) -> datetime:
        """Return the UTC time of a slot's middle."""
        return moment(self.epoch + index * self.step)

    def t_rec(self, index: int) -> datetime:
        """Return the T_REC (UTC) of a slot's records."""
        return moment(self.epoch + index * self.step - self.lead)

    def exposed(self, when: datetime) -> int:
        """Return the slot with the last T_REC at or before an exposure."""
        return math.floor((seconds_of(when) - self.epoch + self.lead) / self.step)


def epoch_of(series: Series) -> str:
    """Return the epoch of a series' slots: the value of its T_REC_epoch."""
    if series.step:
        return LEV1_EPOCH
    return AIA_EPOCH if series.instrument == "aia" else HMI_EPOCH


def slots_of(series: Series) -> Slots:
    """Return the slots of a series' T_REC."""
    lead = AIA_LEAD if series.instrument == "aia" and not series.step else 0.0
    return _slots(epoch_of(series), float(series.step or series.cadence), lead)


@cache
def _slots(epoch: str, step: float, lead: float) -> Slots:
    seconds, _ = scan(epoch) or (0.0, 0)
    return Slots(seconds, step, lead)
