"""The C library's heap stays in few pieces, however many threads come and go."""

import re
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from shopfloor_edge.cameras.arenas import limit_arenas
if sys.argv[1] == "limited":
    assert limit_arenas()
gate = threading.Barrier(9)
def work():
    ctypes.CDLL(None).malloc(1000)
    gate.wait(20)
for _ in range(8):
    threading.Thread(target=work).start()
gate.wait(20)
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="wants glibc")
@pytest.mark.parametrize(("how", "most"), [("limited", 2), ("unlimited", 64)])
def test_threads_share_the_arenas_there_are(how, most):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, timeout=60
    )

    arenas = len(re.findall(r"^Arena \d+:", done.stderr, re.MULTILINE))
    assert 1 <= arenas <= most
    assert (arenas > 2) == (how == "unlimited")
