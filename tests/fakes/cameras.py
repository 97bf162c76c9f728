"""Frame sources that do as they are told."""

import contextlib
import threading

import numpy as np

from shopfloor_edge.cameras.ports import Frame, SourceFacts
from shopfloor_edge.errors import SourceEndedError, SourceLostError

GREY = (np.full((48, 64), 128, np.uint8), *[np.full((24, 32), 128, np.uint8)] * 2)

NO_FACTS = SourceFacts()


@contextlib.contextmanager
def grey_planes():
    yield GREY


class ScriptedSource:
    """Plays a script: a number is a frame's time, an exception is raised, None is silence.

    A pair is a frame's time and its size.
    """

    def __init__(self, script, *, live=True, facts=NO_FACTS):
        self.live, self.video_bytes, self.facts = live, 0, facts
        self._script = iter(script)
        self.closed = threading.Event()
        self._number = 0

    def read(self, timeout_s):
        step = next(self._script, SourceEndedError("script is over"))
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        self.video_bytes += 100
        at_s, size = step if isinstance(step, tuple) else (step, (64, 48))
        frame = Frame(self._number, at_s, size, grey_planes)
        self._number += 1
        return frame

    def close(self):
        self.closed.set()


class ScriptedOpener:
    """Hands out one scripted source per opening; afterwards nobody is there.

    A script that is an exception is a failed opening.
    """

    def __init__(self, *scripts, live=True, facts=NO_FACTS):
        self._scripts, self._live, self._facts = list(scripts), live, facts
        self.opened, self.exhausted = [], threading.Event()
        self.version, self.tries = 0, 0
        self.tried = threading.Event()

    def __call__(self):
        self.tries += 1
        self.tried.set()
        if not self._scripts:
            self.exhausted.set()
            raise SourceLostError("nobody there")
        script = self._scripts.pop(0)
        if isinstance(script, Exception):
            raise script
        self.opened.append(ScriptedSource(script, live=self._live, facts=self._facts))
        return self.opened[-1]

    def stamp(self):
        return self.version
