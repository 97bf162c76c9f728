"""What a person sees in the terminal: plan, progress, result, state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shopfloor_provisioning.fleet import Tell
from shopfloor_provisioning.job import Progress, Result
from shopfloor_provisioning.report.contents import Report

_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, markup=False)


def show_plan(results: Mapping[str, Result]) -> None:
    """Print what would change on each device."""
    console, total = _console(), 0
    for device, result in results.items():
        if result.error:
            continue
        total += len(result.changes)
        console.print(Text(f"{device}: {_count(len(result.changes))}", style="bold"))
        for change in result.changes:
            console.print(f"  {change.step}: {change.what}")
            for line in change.diff:
                console.print(Text(f"      {line}", style=_DIFF_STYLES.get(line[:1], "")))
    console.print(_count(total))


def show_applied(results: Mapping[str, Result]) -> int:
    """Print what was changed; return how much."""
    console, total = _console(), 0
    for device, result in results.items():
        if result.error:
            continue
        total += len(result.changes)
        console.print(Text(f"{device}: {_count(len(result.changes))}", style="bold"))
        for change in result.changes:
            console.print(f"  {change.step}: {change.what}")
    console.print(_count(total))
    return total


def show_pins(results: Mapping[str, Result]) -> None:
    """Print PINs that devices have made: once, to who gave the command."""
    for device, result in results.items():
        for name, pin in result.pins.items():
            print(f"PIN of {name} on {device}: {pin} (not shown again)")


def show_status(results: Mapping[str, Result]) -> None:
    """Print each process of each device."""
    table = Table("device", "process", "state", box=None, pad_edge=False)
    for device, result in results.items():
        for process, state in result.processes.items():
            table.add_row(device, process, state)
    Console(highlight=False).print(table)


def show_report(report: Report) -> None:
    """Print each check of the report."""
    console = _console()
    for device in report.devices:
        for check in device.checks:
            mark = Text("✓ ", style="green") if check.passed else Text("✗ ", style="bold red")
            advice = f" – {check.advice}" if check.advice else ""
            console.print(mark, f"{device.device}: {check.name}: {check.found}{advice}", sep="")


@contextmanager
def progress(devices: Sequence[str]) -> Iterator[Tell]:
    """Give a function that shows how far each device is; a line a change without a terminal."""
    console = Console(highlight=False, markup=False)
    at = dict.fromkeys(devices, "connects")
    if not console.is_terminal:
        yield _plain
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def tell(device: str, told: Progress) -> None:
            at[device] = _told(told)
            table = Table(box=None, pad_edge=False, show_header=False)
            for name, state in at.items():
                table.add_row(name, state)
            live.update(table, refresh=True)

        yield tell


def _plain(device: str, told: Progress) -> None:
    if told.changes:
        print(f"{device}: {_told(told)}", flush=True)


def _told(told: Progress) -> str:
    if told.done:
        return f"{told.step}: done"
    return f"{told.step}: {_count(told.changes)}"


def _count(changes: int) -> str:
    return "1 change" if changes == 1 else f"{changes} changes"
