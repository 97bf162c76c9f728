"""A whole cloud on free ports, in a folder under /tmp that is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from shopfloor_demo.processes import free_port
from shopfloor_stack import programs
from shopfloor_stack.errors import PackageMissingError
from shopfloor_stack.settings import DEFAULT_PORTS


def _absent() -> str:
    try:
        programs.require()
    except PackageMissingError as e:
        return str(e)
    return ""


wants_cloud = pytest.mark.skipif(bool(_absent()), reason=f"wants the cloud's parts: {_absent()}")


class Cloud:
    """The command ``shopfloor-cloud``, with an environment of its own."""

    def __init__(self, root: Path, **environment: str) -> None:
        self.folder = root / "cloud"
        self.ports = {part: free_port() for part in DEFAULT_PORTS}
        self.environment = {
            **os.environ,
            "SHOPFLOOR_CLOUD": str(self.folder),
            "SHOPFLOOR_PORTS": ",".join(f"{part}={port}" for part, port in self.ports.items()),
            **environment,
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "shopfloor_stack.app", *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )

    def address(self, part: str) -> str:
        return f"127.0.0.1:{self.ports[part]}"


@contextlib.contextmanager
def cloud(**environment: str):
    """Give a cloud that is not up yet; whatever runs at the end is ended."""
    # Not pytest's folder: PostgreSQL's account may not enter that when root runs the tests.
    root = Path(tempfile.mkdtemp(prefix="cloud-", dir="/tmp"))
    root.chmod(0o711)
    made = Cloud(root, **environment)
    try:
        yield made
    finally:
        made.run("down", "--wipe")
        shutil.rmtree(root, ignore_errors=True)
