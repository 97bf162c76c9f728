"""Applications for a device: the wheels of our own code, good and broken, and a home for them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import shopfloor_edge
from shopfloor_contracts.wheelsets import write_wheel_set
from shopfloor_edge.agent.updater.fit import machine
from shopfloor_edge.slots.applications import LAUNCHER, Home

PYTHON = f"cp{sys.version_info.major}{sys.version_info.minor}"
EDGE = Path(shopfloor_edge.__file__).parent
KILLED = Path(__file__).with_name("killed.py")
FLAVOURS = {
    "good": {},
    "broken": {"vision/app.py": "raise ImportError('a module of the wrong version')\n"},
    "crashing": {"agent/app.py": "def run_agent(*_, **__):\n    raise SystemExit(3)\n"},
}
"""Lines that are added to the end of a module."""
HOOK = """import os, sys
told = sys.orig_argv
if "shopfloor_edge.main" in told and os.environ.get("KILLED_VICTIM", "-") in told:
    import killed_steps
    killed_steps.watch(os.environ["KILLED_POINTS"], os.environ["KILLED_LOG"])
"""


def wheel(folder: Path, name: str, files: dict[str, bytes], version: str = "1") -> Path:
    """Write a pure wheel."""
    place = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    said = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    everything = files | said
    record = "".join(f"{path},,\n" for path in everything) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(place, "w") as archive:
        for path, content in (everything | {f"{info}/RECORD": record.encode()}).items():
            archive.writestr(zipfile.ZipInfo(path), content)
    return place


def borrowed() -> dict[str, bytes]:
    """Return the files that let a venv see everything that this one has, and the hook of kills."""
    places = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path]
    places += [sysconfig.get_path("purelib"), *_editable()]
    lines = [*dict.fromkeys(places), "import killed_hook"]
    return {
        "zz_borrowed.pth": "\n".join(lines).encode() + b"\n",
        "killed_hook.py": HOOK.encode(),
        "killed_steps.py": KILLED.read_bytes(),
    }


def _editable() -> list[str]:
    """Return the source folders that this interpreter was set up with."""
    return [path for path in sys.path if path.endswith("/src")]


def edge_files(flavour: str = "good", salt: int = 0) -> dict[str, bytes]:
    """Return our package's files, changed as the flavour says."""
    changes = FLAVOURS[flavour]
    found = {}
    for path in sorted(EDGE.rglob("*")):
        name = path.relative_to(EDGE).as_posix()
        if path.is_file() and "__pycache__" not in name:
            more = changes.get(name, "").encode()
            found[f"shopfloor_edge/{name}"] = path.read_bytes() + more
    return found | {"shopfloor_edge/salt.py": f"SALT = {salt}\n".encode()}


def application(flavour: str = "good", *, salt: int = 0, version: str = "2.0") -> bytes:
    """Return a set of wheels."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheels = [
            wheel(folder, "borrowed", borrowed()),
            wheel(folder, "shopfloor_edge", edge_files(flavour, salt), version),
        ]
        out = folder / "set.tar"
        write_wheel_set(
            wheels, out, name="shopfloor-edge", version=version, python=PYTHON, machine=machine()
        )
        return out.read_bytes()


def provision(folder: Path) -> Home:
    """Make a home as provisioning leaves it: the launcher, one venv, ``current``."""
    home = Home(folder)
    digest = hashlib.sha256(b"provisioned").hexdigest()
    venv = home.venv(digest)
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-I", "-m", "venv", "--without-pip", venv], check=True)
    site = venv / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    for name, content in (borrowed() | edge_files()).items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    home.mark_whole(digest)
    (folder / "current").symlink_to(Path("app") / digest)
    shutil.copy(LAUNCHER, home.launcher)
    home.launcher.chmod(0o755)
    return home
