"""What the terminal shows while the demo runs: a snapshot in, text out; reads nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from shopfloor_contracts.events import CameraStatus
from shopfloor_demo.cloud_view import Stored
from shopfloor_demo.report import Report, first_count_at
from shopfloor_edge.journal.state import CameraRow, State

_BARS = "▁▂▃▄▅▆▇█"
_FULL_AT = 4
"""People for which a bar is full, at least: one person in an empty shop is no peak."""
_WIDE_COLUMNS = 100
_GREY = "bright_black"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment."""

    device: str
    line: str
    elapsed_s: float
    expected_s: float | None
    started_at: float
    window_s: float
    state: State
    stored: Stored
    people: Sequence[int]
    """In view, one figure a second, of the last minute; the newest last."""


def panel(now: Snapshot, *, columns: int) -> RenderableType:
    """Return the live view for a terminal of that width."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=_GREY, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    camera = now.state.cameras[0] if now.state.cameras else None
    grid.add_row("camera", _camera(camera))
    grid.add_row("people", _people(now, columns))
    grid.add_row(f"line {now.line}", _line(now))
    grid.add_row("device", _device(now))
    grid.add_row("cloud", _cloud(now))
    grid.add_row("network", _network(now))
    return Panel(
        grid,
        title=f"[bold]Shopfloor[/] · {now.device} · {_clock(now)}",
        title_align="left",
        subtitle=f"[{_GREY}]Ctrl-C ends it · logs in var/demo/logs[/]",
        subtitle_align="left",
        border_style="cyan",
        padding=(1, 2),
        # Two columns stay free for the "^C" that the terminal echoes: a wrap would tear the panel.
        width=min(columns - 2, 120),
    )


def plain_line(now: Snapshot) -> str:
    """Return the same in one line, for output that is no terminal."""
    camera = now.state.cameras[0] if now.state.cameras else None
    counters = now.state.counters
    seen = "camera starting"
    if camera is not None:
        seen = f"{camera.camera} {_status(camera)}, {camera.fps:.1f} fps, {camera.people} in view"
        seen += f", in {camera.crossings_in} out {camera.crossings_out}"
    return (
        f"{_clock(now)}  {seen}; {counters.get('events_committed', 0)} events committed, "
        f"{now.state.outbox_rows} waiting, {now.stored.events} stored; "
        f"{_size(counters.get('uplink_bytes', 0))} sent for "
        f"{_size(camera.video_bytes if camera else 0)} of video"
    )


def summary(report: Report) -> RenderableType:
    """Return the table for the end."""
    table = Table(title="What this run did", title_justify="left", show_header=False)
    table.add_column(style=_GREY)
    table.add_column(justify="right")
    ratio = "–" if report.uplink_ratio is None else f"1 : {report.uplink_ratio:,.0f}"
    first = "–" if report.first_count_s is None else f"{report.first_count_s:.1f} s"
    for name, value in (
        ("people in / out over the line", f"{report.crossings_in} / {report.crossings_out}"),
        ("first counted person after", first),
        ("frames looked at", f"{report.frames:,} in {report.duration_s:.1f} s"),
        ("vision's CPU time", f"{report.vision_cpu_s:.1f} s"),
        ("events committed on the device", f"{report.events_committed:,}"),
        ("events stored in the cloud", f"{report.events_stored:,}"),
        ("received again and ignored", f"{report.events_duplicate:,}"),
        ("video watched", f"{report.video_bytes:,} bytes"),
        ("sent to the cloud", f"{report.uplink_bytes:,} bytes"),
        ("sent : watched", ratio),
    ):
        table.add_row(name, value)
    return table


def bars(people: Sequence[int], width: int) -> str:
    """Draw the figures as ``width`` bars; each shows the most of the seconds that it covers."""
    step = max(1, -(-len(people) // width))
    # Grouped from the newest backwards, so that a bar does not change as it moves left.
    ends = range(len(people), 0, -step)
    groups = [max(people[max(0, end - step) : end]) for end in ends][::-1]
    top = max([_FULL_AT, *groups])
    return "".join(_BARS[min(7, round(7 * count / top))] for count in groups).rjust(width)


def _camera(camera: CameraRow | None) -> Text:
    if camera is None:
        return Text("starting", style="yellow")
    live = camera.status is CameraStatus.LIVE
    text = Text.assemble(
        f"{camera.camera}  ", ("● ", "green" if live else "red"), (_status(camera), "bold")
    )
    if live:
        text.append(f"  {camera.fps:4.1f} fps  {camera.frames:,} frames")
    elif camera.reason:
        text.append(f"  {camera.reason}", style="yellow")
    return text


def _status(camera: CameraRow) -> str:
    return str(camera.status)


def _people(now: Snapshot, columns: int) -> Text:
    count = now.people[-1] if now.people else 0
    width = 60 if columns >= _WIDE_COLUMNS else 30
    return Text.assemble(
        (f"{count:2d} in view", "bold"),
        ("  last minute ", _GREY),
        (bars(now.people, width), "green"),
    )


def _line(now: Snapshot) -> Text:
    came = sum(row.crossings_in for row in now.state.cameras)
    went = sum(row.crossings_out for row in now.state.cameras)
    first = first_count_at(now.state)
    when = "nobody yet" if first is None else f"first after {first - now.started_at:.1f} s"
    return Text.assemble((f"{came} in  {went} out", "bold"), (f"  {when}", _GREY))


def _device(now: Snapshot) -> Text:
    committed = now.state.counters.get("events_committed", 0)
    dropped = now.state.counters.get("outbox_dropped", 0)
    if committed == 0:
        return Text(f"no event yet, a window is {now.window_s:g} s long", style=_GREY)
    text = Text.assemble(
        f"{committed} events committed, ",
        (f"{now.state.outbox_rows} waiting", "bold"),
        f" in the outbox ({_size(now.state.outbox_bytes)})",
    )
    if dropped:
        text.append(f", {dropped} dropped", style="red")
    return text


def _cloud(now: Snapshot) -> Text:
    return Text.assemble(
        (f"{now.stored.events} events stored", "bold"),
        f", people {now.stored.crossings_in} in {now.stored.crossings_out} out",
    )


def _network(now: Snapshot) -> Text:
    sent = now.state.counters.get("uplink_bytes", 0)
    watched = sum(row.video_bytes for row in now.state.cameras)
    text = Text.assemble((_size(sent), "bold"), f" sent for {_size(watched)} of video")
    if sent:
        text.append(f"  1 : {watched / sent:,.0f}", style=_GREY)
    return text


def _clock(now: Snapshot) -> str:
    clock = _minutes(now.elapsed_s)
    return clock if now.expected_s is None else f"{clock} of {_minutes(now.expected_s)}"


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
