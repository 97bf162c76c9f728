"""The station's surroundings in memory: a camera, a line, pins of a chip."""

from __future__ import annotations

from shopfloor_edge.inspection.line import LineSignal, Ruling


class FakeCamera:
    """Gives the next of its pictures for each part; None is a picture that does not come."""

    def __init__(self, pictures):
        self.pictures = list(pictures)

    def take(self, _trigger, _timeout_s):
        return self.pictures.pop(0) if self.pictures else None

    def close(self):
        pass


class FakeLine:
    """Remembers what the line heard."""

    def __init__(self):
        self.signals: list[LineSignal] = []
        self.rulings: list[Ruling] = []
        self.beats = 0

    def show(self, signal):
        self.signals.append(signal)

    def rule(self, ruling):
        self.rulings.append(ruling)

    def beat(self, count=0):
        self.beats += 1


class FakePins:
    """Lines of a chip: low when they are let go."""

    def __init__(self):
        self.levels: dict[int, bool] = {}

    def set(self, offset, high):
        self.levels[offset] = high

    def close(self):
        self.levels = dict.fromkeys(self.levels, False)
