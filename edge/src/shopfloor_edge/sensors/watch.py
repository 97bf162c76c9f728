"""One sensor: from samples to events of its figures, and alerts about the machine or itself."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict

from shopfloor_contracts.events import EventData
from shopfloor_contracts.sensors import SensorSpec
from shopfloor_edge.sensing.baseline import Baseline
from shopfloor_edge.sensing.features import Knocking, Signal, Wanted, figures_of
from shopfloor_edge.sensing.monitor import MachineMonitor, MachineState, Reading
from shopfloor_edge.sensing.stretches import Cutter, Stretch
from shopfloor_edge.sensors.alarms import Alarms
from shopfloor_edge.sensors.memory import BaselineFigures, SensorMemory
from shopfloor_edge.sensors.reports import NO_BASELINE, Report, State

EMPTY_MAX = 60
"""Windows without a sample that are reported in a row: the alert has said it by then."""


class SensorWatch:
    """Takes samples and the time; returns what is to be sent.

    Args:
        source: CloudEvents source of the sensor.
        began_s: since when samples are awaited (epoch); None in a replay.
        grace_s: samples may come so long after their instant.
    """

    def __init__(
        self,
        spec: SensorSpec,
        *,
        source: str,
        began_s: float | None = None,
        grace_s: float = 0.0,
    ) -> None:
        self.spec, self.source = spec, source
        self._grace_s = grace_s
        knocking = Knocking(spec.ring_hz, spec.knock_hz) if spec.ring_hz is not None else None
        self._wanted = Wanted(spec.rate_hz, spec.figures, spec.bands_hz, knocking)
        self._cutter = Cutter(spec.rate_hz, spec.stretch_s)
        self._monitor = MachineMonitor(
            spec.learning,
            spec.false_alarm_s / spec.stretch_s,
            spec.follow_s / spec.stretch_s,
        )
        self._alarms = Alarms(spec, source)
        self._began_s = began_s
        self._report: Report | None = None
        self._refused = self._empty = 0
        self._expected_s = -math.inf
        """Where the next stretch begins when none is missing."""
        self._silent = self._stuck = False
        self._digest = NO_BASELINE

    @property
    def state(self) -> State:
        """What is said of the machine now."""
        if self._silent:
            return "silent"
        return "stuck" if self._stuck else self._monitor.state.value

    def add(self, at_s: float, values: Signal) -> list[EventData]:
        """Take samples ``1 / rate_hz`` apart, the first at ``at_s``."""
        if at_s <= self._cutter.last_s:
            self._cutter.add(at_s, values)
            return []
        said = self.tick(at_s)
        stretches = self._cutter.add(at_s, values)
        if self._cutter.last_s >= at_s and self._silent:
            self._silent = False
            said += self._alarms.silent(at_s, self._cutter.last_s, is_so=False)
        return [*said, *self._take(stretches), *self._look_if_stuck()]

    def tick(self, now_s: float) -> list[EventData]:
        """Take the time: what is over is told, and silence."""
        said = self._look_if_silent(now_s)
        now_s -= self._grace_s
        said += self._take(self._cutter.advance(now_s))
        report_s = self.spec.report_s
        while self._report is not None and now_s >= self._report.start_s + report_s:
            start_s = self._report.start_s + report_s
            self._empty = 0 if self._report.samples else self._empty + 1
            said.append(self._close())
            if self._empty < EMPTY_MAX:
                self._open(start_s)
        return said

    def finish(self) -> list[EventData]:
        """Return what is open, as it is."""
        said = self._take(self._cutter.flush())
        if self._report is not None:
            said.append(self._close())
        return said

    def memory(self) -> SensorMemory:
        """Return what the next start should know."""
        last_s, monitor = self._cutter.last_s, self._monitor
        return SensorMemory(
            version=memory_version(self.spec),
            last_s=last_s if math.isfinite(last_s) else None,
            learnt=monitor.learnt,
            figures={
                name: BaselineFigures(
                    **asdict(chart.baseline),
                    high=chart.jump.high,
                    low=chart.jump.low,
                    mean=chart.drift.mean,
                    before=chart.before,
                )
                for name, chart in monitor.charts.items()
            },
            drifting=monitor.drifting,
            held=monitor.held,
            expected_s=self._expected_s if math.isfinite(self._expected_s) else None,
            raised=self._alarms.raised,
        )

    def remember(self, memory: SensorMemory, *, latest_s: float = math.inf) -> None:
        """Go on from what was saved; an instant after ``latest_s`` was a wrong clock's."""
        if memory.last_s is not None and memory.last_s <= latest_s:
            self._cutter.last_s = memory.last_s
        self._monitor.learnt = {name: list(values) for name, values in memory.learnt.items()}
        if memory.figures:
            self._monitor.begin(
                {
                    name: Baseline(f.centre, f.spread, f.step, f.phi, f.largest)
                    for name, f in memory.figures.items()
                }
            )
            for name, saved in memory.figures.items():
                chart = self._monitor.charts[name]
                chart.jump.high, chart.jump.low = saved.high, saved.low
                chart.drift.mean, chart.before = saved.mean, saved.before
            self._digest = self._baseline_digest()
        self._monitor.drifting, self._monitor.held = memory.drifting, memory.held
        if memory.expected_s is not None:
            self._expected_s = memory.expected_s
        self._alarms.raised = dict(memory.raised)
        self._silent, self._stuck = self._alarms.is_silent, self._alarms.is_stuck

    def _take(self, stretches: Sequence[Stretch]) -> list[EventData]:
        said: list[EventData] = []
        for stretch in stretches:
            report = self._report_at(stretch.start_s, said)
            report.samples += len(stretch.values)
            share = len(stretch.values) / self.spec.samples
            report.covered_s += self.spec.stretch_s * min(1.0, share)
            if stretch.whole and not self._stuck:
                reading = self._judge(stretch, report)
                said += self._alarms.machine(stretch.start_s + self.spec.stretch_s, reading)
        return said

    def _judge(self, stretch: Stretch, report: Report) -> Reading:
        spec = self.spec
        if abs(stretch.start_s - self._expected_s) > spec.stretch_s / 2:
            self._monitor.gap()
        self._expected_s = stretch.start_s + spec.stretch_s
        figures = figures_of(stretch.values, self._wanted)
        was_learning = self._monitor.state is MachineState.LEARNING
        reading = self._monitor.update(figures)
        if was_learning and self._monitor.state is not MachineState.LEARNING:
            self._digest = self._baseline_digest()
        report.add(figures, score=reading.score, level=reading.level)
        return reading

    def _report_at(self, at_s: float, said: list[EventData]) -> Report:
        start_s = math.floor(at_s / self.spec.report_s) * self.spec.report_s
        if self._report is not None and start_s > self._report.start_s:
            said.append(self._close())
        return self._report or self._open(start_s)

    def _open(self, start_s: float) -> Report:
        self._report = Report(start_s)
        return self._report

    def _close(self) -> EventData:
        report, self._report = self._report, None
        if report is None:
            raise AssertionError("no window is open")
        report.refused = self._cutter.refused - self._refused
        self._refused = self._cutter.refused
        return report.data(self.spec, state=self.state, digest=self._digest)

    def _look_if_silent(self, now_s: float) -> list[EventData]:
        last_s = max(self._cutter.last_s, -math.inf if self._began_s is None else self._began_s)
        if not math.isfinite(last_s):
            return []
        if self._silent or now_s - last_s < self.spec.silent_s:
            return []
        self._silent = True
        return [*self._alarms.silent(last_s + self.spec.silent_s, last_s, is_so=True)]

    def _look_if_stuck(self) -> list[EventData]:
        since_s, now_s = self._cutter.constant_since_s, self._cutter.last_s
        stuck = 0 < self.spec.stuck_s <= now_s - since_s
        if stuck == self._stuck:
            return []
        self._stuck = stuck
        return [*self._alarms.stuck(now_s, since_s, is_so=stuck)]

    def _baseline_digest(self) -> str:
        said = {name: asdict(chart.baseline) for name, chart in self._monitor.charts.items()}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def memory_version(spec: SensorSpec) -> str:
    """Return what saved charts belong to: the figures, and how long a healthy time was wanted."""
    return f"{spec.version}-{spec.learning}"
