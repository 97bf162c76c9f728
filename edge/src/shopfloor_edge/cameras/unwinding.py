"""Keep C++ exceptions alive beside GStreamer.

Debian's GStreamer is linked with libunwind, which has functions of the same names as the C++
runtime's own. Once a plugin has brought the C++ runtime into GStreamer's scope, an exception that
any library throws (a model runtime, on a broken model) may be unwound half by one and half by the
other, and the process dies.
"""

from __future__ import annotations

import ctypes


def prefer_gcc_unwinder() -> bool:
    """Let libgcc's names be found before libunwind's; say whether it is there.

    Before GStreamer is imported. The same as libgcc in ``LD_PRELOAD``.
    """
    try:
        ctypes.CDLL("libgcc_s.so.1", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        # Built with another C++ runtime: nothing to prefer.
        return False
    return True
