"""Keep the C library's heap in few pieces.

Every reconnection starts and ends half a dozen threads of GStreamer. glibc gives new threads
arenas of their own, up to eight per core, and what is freed in one is of no use to another: the
process grows for hours although nothing leaks.
"""

from __future__ import annotations

import ctypes

ARENAS = 2
"""One more than none: a decoder does not wait for the inference loop's allocations."""
_M_ARENA_MAX = -8


def limit_arenas() -> bool:
    """Limit them for this process, before it starts threads; say whether the C library did.

    The same as ``MALLOC_ARENA_MAX=2`` in the environment, for whoever starts us without it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # musl and others have one heap and no such call.
    return mallopt is not None and mallopt(_M_ARENA_MAX, ARENAS) == 1


def trim_arenas() -> bool:
    """Give freed memory back to the system; say whether there was any.

    Takes milliseconds: for the end of a pipeline, not for every frame.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and trim(0) == 1
