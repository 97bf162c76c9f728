"""The product's processes, put together for one device: broker, ingest, vision and agent."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from shopfloor_demo.broker import Broker
from shopfloor_demo.cloud_view import CloudView
from shopfloor_demo.errors import DemoError, OperatorError
from shopfloor_demo.processes import Processes, wait_until
from shopfloor_demo.settings import REPOSITORY
from shopfloor_demo.site import Device, Drawing, Uplink, write_site
from shopfloor_edge.errors import JournalError
from shopfloor_edge.journal.state import State, read_state

BROKER, INGEST, VISION, AGENT, CAMERA = "broker", "ingest", "vision", "agent", "camera"
INGEST_USER = "ingest"

_READY_S = 30.0
"""A cold start of Python with ONNX Runtime on a slow disk takes up to ten."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where a run keeps what."""

    run_dir: Path

    @property
    def site(self) -> Path:
        """What the device reads."""
        return self.run_dir / "site.toml"

    @property
    def state(self) -> Path:
        """The device's folder."""
        return self.run_dir / "device"

    @property
    def database(self) -> Path:
        """What the cloud has stored."""
        return self.run_dir / "cloud" / "ingest.db"

    @property
    def scene(self) -> Path:
        """The masked picture."""
        return self.run_dir / "scene.png"

    @property
    def vision_report(self) -> Path:
        """Vision's totals."""
        return self.run_dir / "vision.json"


class Stack:
    """One device and its cloud under ``run_dir``; as a context manager it leaves none behind.

    ``processes`` is there for what goes wrong on purpose: ``processes.kill9("broker")``, then
    ``restart_broker()``.
    """

    def __init__(self, run_dir: Path, device: Device, *, acl_file: Path | None = None) -> None:
        self.files = Files(run_dir.absolute())
        self.device = device
        self.processes = Processes(self.files.run_dir / "logs")
        self.broker = Broker(
            self.files.run_dir / "broker",
            self.processes,
            users=[INGEST_USER, device.user],
            acl_file=acl_file or REPOSITORY / "cloud" / "mosquitto" / "acl",
        )
        self.cloud = CloudView(self.files.database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.processes.stop_all()

    def start_cloud(self) -> None:
        """Start broker and ingest and return when both are ready."""
        self.broker.start()
        config = self._write_ingest_config()
        argv = [_script("shopfloor-ingest"), "--config", str(config)]
        self._address_file.unlink(missing_ok=True)
        self.processes.start(INGEST, [*argv, "--address-file", str(self._address_file)])
        self._wait_for_ingest()

    def restart_ingest(self) -> None:
        """Start the ingest again and return when it is ready."""
        self._address_file.unlink(missing_ok=True)
        self.processes.restart(INGEST)
        self._wait_for_ingest()

    def restart_broker(self) -> None:
        """Start the broker again, on its port and with its memory."""
        self.broker.restart()

    def start_camera(self, clip: Path, *, once: bool) -> str:
        """Start the RTSP test camera and return its address."""
        address = self.files.run_dir / "camera.address"
        argv = [sys.executable, "-m", "shopfloor_demo.camera", str(clip)]
        argv += ["--address-file", str(address), *(["--once"] if once else [])]
        self.processes.start(CAMERA, argv)
        self._wait_for_file(CAMERA, address)
        return address.read_text().strip()

    def write_site(self, *, uri: str, drawing: Drawing) -> None:
        """Write the device's site file."""
        uplink = Uplink(self.broker.port, self.broker.password_file(self.device.user))
        write_site(self.files.site, self.device, uri=uri, drawing=drawing, uplink=uplink)

    def start_vision(self) -> None:
        """Start counting."""
        outputs = ["--scene", str(self.files.scene), "--report", str(self.files.vision_report)]
        self.processes.start(VISION, [*self._edge("vision"), *outputs])

    def start_agent(self) -> None:
        """Start sending."""
        self.processes.start(AGENT, self._edge("agent"))

    def stop_vision(self, *, grace_s: float = 20.0) -> int:
        """Ask vision to close its windows and end; return its exit status."""
        if self.processes.is_running(VISION):
            return self.processes.stop(VISION, grace_s=grace_s)
        return self.processes.wait(VISION, timeout_s=0.0)

    def is_drained(self) -> bool:
        """Say whether nothing waits on the device any more."""
        return self.state().outbox_rows == 0

    def state(self) -> State:
        """Return the device's state; an empty one before it has any."""
        try:
            return read_state(self.files.state)
        except JournalError:
            return State([], {})

    @property
    def _address_file(self) -> Path:
        return self.files.run_dir / "cloud" / "address"

    def _edge(self, command: str) -> list[str]:
        site, state = str(self.files.site), str(self.files.state)
        return [_script("shopfloor-edge"), command, "--site", site, "--state", state]

    def _wait_for_ingest(self) -> None:
        self._wait_for_file(INGEST, self._address_file)
        self.cloud.address = self._address_file.read_text().strip()

        def ready() -> bool:
            self.processes.check(INGEST)
            return self.cloud.is_healthy()

        wait_until(ready, timeout_s=_READY_S, what="healthy ingest")

    def _wait_for_file(self, name: str, path: Path) -> None:
        def written() -> bool:
            self.processes.check(name)
            return path.exists()

        wait_until(written, timeout_s=_READY_S, what=f"address of {name}")

    def _write_ingest_config(self) -> Path:
        folder = self.files.database.parent
        folder.mkdir(parents=True, exist_ok=True)
        values: dict[str, str | int] = {
            "broker_host": "127.0.0.1",
            "broker_port": self.broker.port,
            "broker_username": INGEST_USER,
            "broker_password_file": str(self.broker.password_file(INGEST_USER)),
            "database": f"sqlite:///{self.files.database}",
            "http_host": "127.0.0.1",
            "http_port": 0,
        }
        path = folder / "ingest.toml"
        path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
        return path


def fetch_model(bundle: str) -> None:
    """Make sure that the device's model is here, as an installer would.

    Raises:
        DemoError: it is nowhere, or is another file than the zoo says.
    """
    run_to_end([_script("shopfloor-edge"), "fetch", bundle])


def run_to_end(argv: list[str]) -> None:
    """Run a command that prepares something.

    Raises:
        OperatorError: it says that a person can mend it.
        DemoError: it ended with another error.
    """
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise (OperatorError if done.returncode == 2 else DemoError)(reason)


def _script(name: str) -> str:
    # The scripts lie beside the interpreter, whether or not the environment is activated.
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise OperatorError(f"{path} is missing: run 'make setup'")
    return str(path)
