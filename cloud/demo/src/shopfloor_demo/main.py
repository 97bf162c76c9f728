"""``make demo``: the composition root, and the exit codes 0 (counted and stored), 1, 2."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from shopfloor_contracts.site import ModelSpec
from shopfloor_demo import demo, view
from shopfloor_demo.errors import DemoError, OperatorError
from shopfloor_demo.settings import Settings, read_settings
from shopfloor_demo.stack import fetch_model

_INTERRUPTED = 130


def main() -> int:
    """Run the demo and return its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    console = Console(highlight=False)
    try:
        settings = read_settings(os.environ)
        with alone(settings.run_dir):
            return _run(settings, console)
    except OperatorError as e:
        print(f"demo: {e}", file=sys.stderr)
        return 2
    except DemoError as e:
        print(f"demo: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _run(settings: Settings, console: Console) -> int:
    def say(text: str) -> None:
        console.print(f"[bright_black]·[/] {text}", soft_wrap=True)

    scene = demo.prepare(settings, say)
    fetch_model(ModelSpec().bundle)
    with demo.new_stack(settings) as stack:
        run = demo.start(stack, settings, scene, say)
        demo.watch(run, console)
        report = demo.finish(run, say)
    console.print(view.summary(report))
    console.print(f"{demo.report_path(settings)}", soft_wrap=True)
    if report.scene is not None:
        console.print(f"{report.scene}", soft_wrap=True)
    for complaint in report.complaints:
        print(f"demo: {complaint}", file=sys.stderr)
    return 1 if report.complaints else 0


@contextmanager
def alone(run_dir: Path) -> Iterator[None]:
    """Empty the run's folder, and keep it ours until the end.

    Raises:
        OperatorError: another demo uses it.
    """
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    with run_dir.with_name(f".{run_dir.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise OperatorError(f"another demo is running in {run_dir}") from e
        shutil.rmtree(run_dir, ignore_errors=True)
        run_dir.mkdir()
        yield


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
