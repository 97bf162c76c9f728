"""What a store has and this machine lacks: a cloud, and a camera that plays the demo's clip."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from shopfloor_demo.clips import places as footage_places
from shopfloor_demo.errors import DemoError
from shopfloor_demo.footage import vtest_h264
from shopfloor_provisioning.errors import OperatorError, ProvisioningError
from shopfloor_provisioning.job import Places
from shopfloor_provisioning.store import CloudFile, StoreFile
from shopfloor_stack.errors import OperatorError as StackOperatorError
from shopfloor_stack.errors import StackError
from shopfloor_stack.settings import REPOSITORY, read_settings
from shopfloor_stack.stack import Stack

Say = Callable[[str], None]

MARK = "SHOPFLOOR_REHEARSAL"
_CAMERA_READY_S = 30.0
_END_S = 10.0


def places_of(store: StoreFile, environment: Mapping[str, str]) -> Places:
    """Return where devices find the cloud; starts nothing.

    Raises:
        OperatorError: the file names none, or a setting of the stack is wrong.
    """
    if store.rehearsal.cloud:
        stack = _stack(environment, lambda _line: None)
        return _rehearsed(stack, store.cloud)
    cloud = store.cloud
    if cloud.broker_host is None:
        raise OperatorError(
            "cloud: broker_host is missing: name the cloud, or set cloud = true in [rehearsal]"
        )
    given = cloud.model_dump(exclude={"root_file", "ca_file"})
    return Places.model_validate(given)


def start(store: StoreFile, var: Path, environment: Mapping[str, str], say: Say) -> None:
    """Start what the file rehearses and what does not run yet.

    Raises:
        OperatorError: a program is missing, a port is taken, or the footage is nowhere.
        ProvisioningError: it does not come up.
    """
    if store.rehearsal.cloud:
        say("the cloud's parts start here")
        try:
            _stack(environment, say).up()
        except StackOperatorError as e:
            raise OperatorError(f"cloud: {e}") from e
        except StackError as e:
            raise ProvisioningError(f"cloud: {e}") from e
    if store.rehearsal.camera_port is not None:
        _start_camera(store.rehearsal.camera_port, var, environment, say)


def stop(store: StoreFile, var: Path, environment: Mapping[str, str]) -> list[str]:
    """End the camera; the cloud too where the file rehearses it. Data of the cloud stays."""
    ended = [f"end camera ({process.pid})" for process in _cameras(var) if _end(process)]
    if store.rehearsal.cloud:
        try:
            if _stack(environment, lambda _line: None).down(wipe=False):
                ended.append("end the cloud's parts; 'make cloud-down WIPE=1' removes their data")
        except StackError as e:
            raise ProvisioningError(f"cloud: {e}") from e
    return ended


def _stack(environment: Mapping[str, str], say: Say) -> Stack:
    try:
        return Stack(read_settings(environment), say)
    except StackError as e:
        raise OperatorError(f"cloud: {e}") from e


def _rehearsed(stack: Stack, cloud: CloudFile) -> Places:
    ports = stack.ports()
    address = "http://127.0.0.1:{}"
    return Places(
        broker_host="127.0.0.1",
        broker_port=ports["broker"],
        ingest_url=address.format(ports["ingest"]),
        registry_url=address.format(ports["registry"]),
        campaigns_url=address.format(ports["campaigns"]),
        identity_url=cloud.identity_url,
        authority=stack.layout.pki,
    )


def _start_camera(port: int, var: Path, environment: Mapping[str, str], say: Say) -> None:
    if any(True for _ in _cameras(var)):
        say(f"camera runs already at rtsp://127.0.0.1:{port}/stream")
        return
    try:
        clip = vtest_h264(footage_places(environment, REPOSITORY), say=say)
    except DemoError as e:
        raise OperatorError(f"camera: {e}") from e
    var.mkdir(parents=True, exist_ok=True)
    address, log = var / "camera.address", var / "camera.log"
    address.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "shopfloor_demo.camera", str(clip.path), "--port", str(port)]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*argv, "--address-file", str(address)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, MARK: str(var)},
            start_new_session=True,
        )
    deadline = time.monotonic() + _CAMERA_READY_S
    while not address.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["said nothing"]
            raise ProvisioningError(f"camera on port {port}: {last[0][-200:]}; see {log}")
        time.sleep(0.05)
    say(f"camera: {address.read_text().strip()}")


def _cameras(var: Path) -> list[psutil.Process]:
    """Return the camera that was started for this site, by the mark that it carries."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(var) and process.pid != os.getpid():
                found.append(process)
    return found


def _end(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(_END_S)
        except psutil.TimeoutExpired:
            process.kill()
    return True
