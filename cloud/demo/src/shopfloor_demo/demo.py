"""One run of the demo: prepare, start, watch, finish in the order that loses nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live

from shopfloor_contracts.events import CameraStatus
from shopfloor_demo import encoding, view
from shopfloor_demo.errors import DemoError, OperatorError, WaitedTooLongError
from shopfloor_demo.footage import Clip, vtest_h264
from shopfloor_demo.processes import wait_until
from shopfloor_demo.report import Measured, Report, build_report
from shopfloor_demo.settings import Settings
from shopfloor_demo.site import MIDDLE, VTEST, Device, Drawing
from shopfloor_demo.stack import AGENT, BROKER, CAMERA, INGEST, VISION, Stack

Say = Callable[[str], None]

_LOOK_EVERY_S = 0.33
_PLAIN_EVERY_S = 5.0
_DRAIN_S = 10.0
_START_UP_S = 5.0
"""What a pass takes longer than the clip: processes start and the model is loaded."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is watched and what is drawn into it; ``clip`` is None for the reader's own camera."""

    drawing: Drawing
    clip: Clip | None


@dataclass(slots=True)
class Run:
    """A started demo and what has been seen of it so far."""

    stack: Stack
    settings: Settings
    scene: Scene
    started_at: float
    people: deque[int] = field(default_factory=lambda: deque(maxlen=60))
    people_at_s: float = 0.0

    @property
    def elapsed_s(self) -> float:
        """Since the first process was started."""
        return time.time() - self.started_at

    @property
    def expected_s(self) -> float | None:
        """How long it takes, if that is known."""
        if self.settings.duration_s is not None:
            return self.settings.duration_s
        clip = self.scene.clip
        return None if clip is None else clip.frames / encoding.FPS + _START_UP_S

    def look(self) -> view.Snapshot:
        """Read everything there is to show."""
        state = self.stack.state()
        if time.monotonic() - self.people_at_s >= 1.0:
            self.people_at_s = time.monotonic()
            self.people.append(sum(row.people for row in state.cameras))
        return view.Snapshot(
            device=self.stack.device.user,
            line=self.scene.drawing.line,
            elapsed_s=self.elapsed_s,
            expected_s=self.expected_s,
            started_at=self.started_at,
            window_s=self.stack.device.window_s,
            state=state,
            stored=self.stack.cloud.stored(),
            people=tuple(self.people),
        )

    def is_over(self) -> bool:
        """Say whether there is no more to watch.

        Raises:
            ProcessDiedError: a process is gone that should run.
        """
        processes = self.stack.processes
        processes.check(BROKER, INGEST, AGENT)
        if not processes.is_running(VISION):
            return True
        if self.settings.duration_s is not None and self.elapsed_s >= self.settings.duration_s:
            return True
        if self.scene.clip is None or processes.is_running(CAMERA):
            return False
        # The camera ends after one pass; a camera that fails has another status.
        if processes.returncode(CAMERA):
            processes.check(CAMERA)
        return True


def prepare(settings: Settings, say: Say) -> Scene:
    """Find or make the footage."""
    if settings.own_camera is not None:
        say(f"watching {settings.own_camera.uri}")
        return Scene(MIDDLE, clip=None)
    clip = vtest_h264(settings.footage, say=say)
    say(f"footage: {clip.frames} frames of CCTV, {clip.size_bytes:,} bytes of H.264")
    return Scene(VTEST, clip)


def start(stack: Stack, settings: Settings, scene: Scene, say: Say) -> Run:
    """Start every process and return when all of them run."""
    run = Run(stack, settings, scene, started_at=time.time())
    stack.start_cloud()
    say(f"cloud: broker on port {stack.broker.port}, ingest at http://{stack.cloud.address}")
    if scene.clip is not None:
        uri = stack.start_camera(scene.clip.path, once=settings.duration_s is None)
        say(f"camera: {uri}")
    elif settings.own_camera is not None:
        uri = settings.own_camera.uri
    else:
        raise ValueError("neither footage nor a camera")
    stack.write_site(uri=uri, drawing=scene.drawing)
    stack.start_vision()
    stack.start_agent()
    say(f"device: {stack.device.user} runs vision and agent")
    return run


def watch(run: Run, console: Console) -> None:
    """Show the run until it is over or Ctrl-C."""
    try:
        with _screen(console) as show:
            while not run.is_over():
                show(run.look())
                time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        console.print("ending")


def finish(run: Run, say: Say) -> Report:
    """Let vision close its windows and the agent send them, stop everything, add it all up."""
    stack, processes = run.stack, run.stack.processes
    watched_s = run.elapsed_s
    _stop_vision(stack)
    say("vision has ended, the agent sends what is left")
    try:
        wait_until(stack.is_drained, timeout_s=_DRAIN_S, what="empty outbox")
    except WaitedTooLongError as e:
        say(f"{e}: {stack.state().outbox_rows} events still wait on the device")
    processes.stop(AGENT)
    measured = Measured(
        started_at=run.started_at,
        duration_s=watched_s,
        vision_cpu_s=processes.cpu_s(VISION),
        scene=stack.files.scene,
    )
    report = build_report(stack.state(), stack.cloud.stored(), measured)
    processes.stop_all()
    report.write(report_path(run.settings))
    return report


def report_path(settings: Settings) -> Path:
    """Return where the report is written."""
    return settings.run_dir / "report.json"


def _stop_vision(stack: Stack) -> None:
    status = stack.stop_vision()
    if status == 0:
        return
    reasons = [row.reason for row in stack.state().cameras if row.status is not CameraStatus.LIVE]
    reason = next(filter(None, reasons), "") or f"see {stack.processes.log_path(VISION)}"
    error = OperatorError if status == 2 else DemoError
    raise error(f"vision ended with {status}: {reason}")


@contextmanager
def _screen(console: Console) -> Iterator[Callable[[view.Snapshot], None]]:
    """Give a function that shows a snapshot: in place on a terminal, else a line now and then."""
    if not console.is_terminal:
        yield _plain(console)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda now: live.update(view.panel(now, columns=console.width), refresh=True)


def _plain(console: Console) -> Callable[[view.Snapshot], None]:
    said_at_s = -_PLAIN_EVERY_S

    def show(now: view.Snapshot) -> None:
        nonlocal said_at_s
        if now.elapsed_s - said_at_s >= _PLAIN_EVERY_S:
            said_at_s = now.elapsed_s
            console.print(view.plain_line(now), soft_wrap=True, highlight=False)

    return show


def new_stack(settings: Settings) -> Stack:
    """Return the processes of a run, none of them started."""
    return Stack(settings.run_dir, Device())
