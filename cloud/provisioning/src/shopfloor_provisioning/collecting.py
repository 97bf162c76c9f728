"""What a commissioned device says of itself: asked of its own programs, over the same session."""

from __future__ import annotations

import base64
import json
import shlex

from cryptography import x509
from pydantic import BaseModel, ConfigDict, ValidationError

from shopfloor_contracts.site import CameraSpec
from shopfloor_provisioning.device import Plan
from shopfloor_provisioning.errors import DeviceError
from shopfloor_provisioning.job import CameraSeen, Collected
from shopfloor_provisioning.machine import Machine
from shopfloor_provisioning.preflight import Facts
from shopfloor_provisioning.processes import unit
from shopfloor_provisioning.steps.ports import SERVICE
from shopfloor_provisioning.steps.running import QUIET, kept_pids

PROBE_S = 2
"""A snapshot wants one frame; the report's rate is what vision itself has measured."""


class _State(BaseModel):
    model_config = ConfigDict(frozen=True)

    cameras: list[CameraSeen]
    outbox: int
    version: str


_READ_STATE = """
import json, sys
from importlib.metadata import version
from shopfloor_edge.errors import EdgeError
from shopfloor_edge.journal.state import read_state
try:
    state = read_state(__import__("pathlib").Path(sys.argv[1]))
    rows = [dict(camera=r.camera, status=str(r.status), reason=r.reason, fps=r.fps,
        people=r.people, crossings=r.crossings_in + r.crossings_out) for r in state.cameras]
    outbox = state.outbox_rows
except EdgeError:
    rows, outbox = [], -1
print(json.dumps({"cameras": rows, "outbox": outbox, "version": version("shopfloor-edge")}))
"""


def states(plan: Plan, machine: Machine) -> dict[str, str]:
    """Return the state of each process: running, ended, or what systemd calls it."""
    if plan.is_image:
        return dict.fromkeys(plan.device.processes, "not booted")
    if plan.owned and machine.run("[ -d /run/systemd/system ]").ok:
        found: dict[str, str] = {}
        for process in plan.device.processes:
            said = machine.run(f"systemctl is-active {unit(process)}").stdout.strip()
            found[process] = "running" if said == "active" else said or "unknown"
        return found
    pids = kept_pids(machine, plan.layout, plan.device.processes)
    return {process: _kept_state(machine, pid) for process, pid in pids.items()}


def collect(plan: Plan, machine: Machine, facts: Facts) -> Collected:
    """Return everything that the commissioning report shows of the device."""
    said = _state(plan, machine)
    rows = {row.camera: row for row in said.cameras}
    cameras = [
        _camera(plan, machine, spec, rows.get(spec.name)) for spec in plan.composed.site.cameras
    ]
    return Collected(
        system=f"{facts.system} {facts.release}".strip(),
        architecture=facts.architecture,
        python=facts.python,
        version=said.version,
        clock_offset_s=round(facts.clock_offset_s, 1),
        free_bytes=facts.free_bytes,
        processes=states(plan, machine),
        cameras=cameras,
        outbox_rows=said.outbox,
        update=_update(plan, machine),
        certificate=_certificate(plan, machine),
    )


def _kept_state(machine: Machine, pid: str) -> str:
    if pid == "0":
        return "ended"
    # A keeper alone waits to start its program again.
    script = f"cat /proc/{pid}/task/{pid}/children"
    children = machine.run(script).stdout.split()
    names = [machine.run(f"cat /proc/{child}/comm").stdout.strip() for child in children]
    return "running" if any(name != "sleep" for name in names) else "starts again and again"


def _state(plan: Plan, machine: Machine) -> _State:
    code, state = shlex.quote(_READ_STATE), shlex.quote(str(plan.layout.state))
    said = machine.must(_as_service(plan, f"{_python(plan)} -c {code} {state}"), "state")
    try:
        return _State.model_validate_json(said.splitlines()[-1])
    except (ValidationError, IndexError) as e:
        raise DeviceError(machine.device, f"state: {said[:200]!r} was printed") from e


def _camera(plan: Plan, machine: Machine, spec: CameraSpec, row: CameraSeen | None) -> CameraSeen:
    picture, note = _snapshot(plan, machine, spec)
    seen = CameraSeen(camera=spec.name, status="unknown", reason="vision has not described it")
    if row is not None:
        seen = row
    encoded = base64.b64encode(picture).decode()
    return seen.model_copy(update={"snapshot": encoded, "snapshot_note": note})


def _snapshot(plan: Plan, machine: Machine, spec: CameraSpec) -> tuple[bytes, str]:
    """Return vision's own masked picture, else one that is taken and masked now."""
    kept = machine.read(plan.layout.state / "pictures" / f"{spec.name}.jpg")
    if kept:
        return kept, "masked by vision"
    path = plan.layout.state / f".{spec.name}.png"
    words = [str(plan.layout.command), "camera", "probe", spec.sub_uri or spec.uri, "--json"]
    words += ["--seconds", str(PROBE_S), "--snapshot", str(path), "--transport", spec.transport]
    if spec.username is not None:
        words += ["--username", spec.username]
    if spec.password_file is not None:
        words += ["--password-file", spec.password_file]
    said = machine.run(_as_service(plan, shlex.join(words)), timeout_s=60)
    picture = machine.read(path) or b""
    machine.run(f"rm -f {shlex.quote(str(path))}")
    if not said.ok or not picture:
        return b"", said.last_line.removeprefix("shopfloor-edge: ")
    note = str(json.loads(said.stdout.splitlines()[-1]).get("snapshot") or "")
    # It masks what may be a person too, so its number is none of people.
    return picture, "people pixelated" if note.endswith("people pixelated") else note


def _update(plan: Plan, machine: Machine) -> str:
    if plan.composed.site.updates.root_file is None:
        return "off: no root of trust was given"
    words = [str(plan.layout.command), "update", "status", "--state", str(plan.layout.state)]
    said = machine.run(_as_service(plan, shlex.join(words)))
    return said.stdout.strip().splitlines()[0][:200] if said.ok and said.stdout else said.last_line


def _certificate(plan: Plan, machine: Machine) -> str:
    pem = machine.read(plan.layout.identity / "device.crt")
    if pem is None:
        return ""
    try:
        return f"{x509.load_pem_x509_certificate(pem).not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return "cannot be read"


def _python(plan: Plan) -> str:
    return shlex.quote(str(plan.layout.current / "bin/python"))


def _as_service(plan: Plan, command: str) -> str:
    home = f"cd / && HOME={shlex.quote(str(plan.layout.state))} {QUIET}"
    if not plan.owned:
        return f"{home} {command}"
    return f"{home} setpriv --reuid {SERVICE} --regid {SERVICE} --init-groups {command}"
