"""Runs a device's command and kills it, as with the power, around its n-th durable step.

``python killed.py N LOG COMMAND…``: a durable step is an fsync or a rename; SIGKILL comes before
the step with an odd N and after it with an even one. With N = 0 the steps are only counted, one
line each in LOG.
"""

import os
import signal
import sys
import threading

from shopfloor_edge.main import main


def watch(limit, log):
    """Count steps of this process; nothing of the product knows of it."""
    lock, count = threading.Lock(), 0

    def around(name, step):
        def counted(*arguments, **options):
            nonlocal count
            with lock:
                count += 2
                here = count
            if log:
                with open(log, "a") as file:  # noqa: PTH123 — the product's own calls are watched
                    file.write(f"{name}\n")
            if here - 1 == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            result = step(*arguments, **options)
            if here == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted

    for name in ("fsync", "rename", "replace"):
        setattr(os, name, around(name, getattr(os, name)))


if __name__ == "__main__":
    watch(int(sys.argv[1]), sys.argv[2] if sys.argv[2] != "-" else "")
    sys.exit(main(sys.argv[3:]))
