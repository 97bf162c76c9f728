"""What the terminal shows while boards go by: the line in, text out; reads nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from shopfloor_demo.conveyor import Line, Seen
from shopfloor_demo.inspection_picture import Limits

_GREY = "bright_black"
_COLOURS = {"pass": "green", "fail": "red", "review": "yellow", "missed": "magenta", "": _GREY}
_STATES = {"running": "green", "alerted": "yellow", "stopped": "red"}
_EIGHTHS = " ▁▂▃▄▅▆▇█"
CHART_ROWS = 6


def panel(line: Line, limits: Limits, *, columns: int) -> RenderableType:
    """Return the live view for a terminal of that width."""
    width = min(columns - 2, 120)
    shown = line.parts[-(width - 32) :]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=_GREY, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row("line", _state(line))
    grid.add_row("parts", Text.assemble(*(("▮", _COLOURS[seen.verdict]) for seen in shown)))
    for number, row in enumerate(_chart(shown, limits)):
        grid.add_row("chart" if number == 0 else "", row)
    grid.add_row("verdicts", _verdicts(line))
    grid.add_row("latency", _latency(line))
    return Panel(
        grid,
        title="[bold]Shopfloor[/] · inspection of boards, 200 a minute",
        title_align="left",
        subtitle=f"[{_GREY}]Ctrl-C ends it · logs in var/demo/inspection/logs[/]",
        subtitle_align="left",
        border_style=_STATES.get(line.state, "cyan"),
        padding=(1, 2),
        width=width,
    )


def plain_line(line: Line) -> str:
    """Return the same in one line, for output that is no terminal."""
    verdicts = ", ".join(f"{count} {name}" for name, count in line.verdicts().items() if count)
    return f"line {line.state}, {len(line.parts)} parts: {verdicts}"


def summary(fields: Mapping[str, object]) -> RenderableType:
    """Return the table for the end."""
    table = Table(title="What this run did", title_justify="left", show_header=False)
    table.add_column(style=_GREY)
    table.add_column(justify="right")
    for name, value in fields.items():
        if isinstance(value, Mapping):
            shown = ", ".join(f"{count} {verdict}" for verdict, count in value.items())
        else:
            shown = "–" if value is None else str(value)
        table.add_row(name.replace("_", " "), shown)
    return table


def _state(line: Line) -> Text:
    text = Text.assemble(("● ", _STATES.get(line.state, _GREY)), (line.state, "bold"))
    if line.reason:
        text.append(f"  {line.reason}", style="yellow")
    if line.stopped_at is not None:
        text.append(f"  after part {line.stopped_at}", style="red")
    return text


def _chart(shown: Sequence[Seen], limits: Limits) -> list[Text]:
    """Return rows from the top; the full height is the stop limit."""
    rows = []
    alert_row = CHART_ROWS - 1 - int(CHART_ROWS * limits.alert / limits.stop)
    for row in range(CHART_ROWS):
        base = CHART_ROWS - 1 - row
        text = Text()
        for seen in shown:
            height = CHART_ROWS * min(1.0, seen.score / limits.stop) - base
            is_over = seen.score >= limits.alert
            text.append(
                _EIGHTHS[max(0, min(8, round(8 * height)))], style="red" if is_over else "cyan"
            )
        note = "stop" if row == 0 else "alert" if row == alert_row else ""
        text.append(f" ┄ {note}" if note else "", style="red" if row == 0 else "yellow")
        rows.append(text)
    return rows


def _verdicts(line: Line) -> Text:
    counts = line.verdicts()
    return Text.assemble(
        (f"{len(line.parts)} parts  ", "bold"),
        *(
            (f"{counts[name]} {name}  ", _COLOURS[name])
            for name in ("pass", "fail", "review", "missed")
        ),
    )


def _latency(line: Line) -> Text:
    latencies = [seen.latency_ms for seen in line.parts[-100:] if seen.verdict]
    if not latencies:
        return Text("–", style=_GREY)
    return Text.assemble(
        (f"{median(latencies):.0f} ms", "bold"),
        (f"  from trigger to verdict, slowest {max(latencies):.0f} ms", _GREY),
    )
