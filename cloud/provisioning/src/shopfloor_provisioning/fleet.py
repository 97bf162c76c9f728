"""Works on many devices at once, a process each, and tells how far they are."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import ValidationError

from shopfloor_provisioning.errors import ProvisioningError
from shopfloor_provisioning.job import Job, Line, Progress, Result

AT_ONCE = 8
"""A session and a Python each; what takes time is the devices' own work."""

Tell = Callable[[str, Progress], None]
# setpriv (util-linux) has the kernel end the child when we are gone, also by SIGKILL.
_LEASH = ("setpriv", "--pdeathsig", "KILL", "--")


def work(jobs: Sequence[Job], tell: Tell, *, at_once: int = AT_ONCE) -> dict[str, Result]:
    """Do every job, some at once; return what came of each by the device's name.

    A job that ends without a word is an error of its device; others go on.
    """
    lock = threading.Lock()

    def one(job: Job) -> Result:
        def told(progress: Progress) -> None:
            with lock:
                tell(job.device, progress)

        return _run(job, told)

    if not jobs:
        raise ProvisioningError("no device is to be worked on")
    with ThreadPoolExecutor(max_workers=min(at_once, len(jobs))) as pool:
        found = list(pool.map(one, jobs))
    return {job.device: result for job, result in zip(jobs, found, strict=True)}


def _run(job: Job, tell: Callable[[Progress], None]) -> Result:
    argv = [*_LEASH, sys.executable, "-m", "shopfloor_provisioning.worker"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ProvisioningError(f"{job.device}: no pipes to its process")
        complaints: list[str] = []
        listener = threading.Thread(target=complaints.extend, args=(process.stderr,))
        listener.start()
        process.stdin.write(job.model_dump_json())
        process.stdin.close()
        result = None
        for text in process.stdout:
            line = _read(text)
            if line is not None and line.progress is not None:
                tell(line.progress)
            if line is not None and line.result is not None:
                result = line.result
        listener.join()
    if result is None:
        last = complaints[-1].strip() if complaints else "said nothing"
        return Result(
            error=f"{job.device}: its process ended with {process.returncode}: {last[:300]}"
        )
    return result


def _read(text: str) -> Line | None:
    """Read a line; what libraries print between them is passed over."""
    try:
        return Line.model_validate_json(text)
    except ValidationError:
        return None
