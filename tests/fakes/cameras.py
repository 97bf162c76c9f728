"""Frame sources that do as they are told."""

import contextlib
import threading

import numpy as np

from shopfloor_edge.cameras.ports import Frame
from shopfloor_edge.errors import SourceEndedError

GREY = (np.full((48, 64), 128, np.uint8), *[np.full((24, 32), 128, np.uint8)] * 2)


@contextlib.contextmanager
def grey_planes():
    yield GREY


class ScriptedSource:
    """Plays a script: a number is a frame's time, an exception is raised, None is silence."""

    def __init__(self, script, *, live=True):
        self.live, self.video_bytes = live, 0
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
        frame = Frame(self._number, step, (64, 48), grey_planes)
        self._number += 1
        return frame

    def close(self):
        self.closed.set()
