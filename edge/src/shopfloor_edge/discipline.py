"""What the kernel knows of this device's clock."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

_TIME_ERROR, _STA_UNSYNC = 5, 0x40


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2), 64-bit Linux, as far as it is read; padded to its size."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


@dataclass(frozen=True, slots=True)
class Discipline:
    """What the kernel knows of its clock."""

    synchronised: bool
    error_s: float
    """At most so far from the truth, as the time service told the kernel."""


def read_discipline() -> Discipline | None:
    """Ask the kernel; None where it does not say."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    synchronised = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
    return Discipline(synchronised, timex.maxerror / 1e6)
