"""Registry and campaigns as processes of their own, and an operator who types commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from fakes import ota

MODULES = {
    "shopfloor-registry": "shopfloor_registry.app",
    "shopfloor-campaigns": "shopfloor_campaigns.app",
    "shopfloorctl": "shopfloor_ctl.main",
}
EVIDENCE = [
    {"metric": "ap", "value": 0.31, "target": "onnx-fp32", "data": "drawn light"},
    {"metric": "latency-ms", "value": 9.5, "target": "onnx-fp32", "data": "this machine"},
]


class UpdateCloud:
    """Both services, set up by the commands of the guides; state lies in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen] = []
        kept = {key: value for key, value in os.environ.items() if key.startswith("SHOPFLOOR_")}
        self.environment = {k: v for k, v in os.environ.items() if k not in kept} | {
            "HOME": str(folder),
            "SHOPFLOOR_REGISTRY_DATABASE": f"sqlite:///{folder}/registry.db",
            "SHOPFLOOR_REGISTRY_FOLDER": str(folder / "artefacts"),
            "SHOPFLOOR_REGISTRY_TUF_REPOSITORY": str(folder / "tuf"),
            "SHOPFLOOR_REGISTRY_TUF_ONLINE_KEYS": str(folder / "tuf-online"),
            "SHOPFLOOR_CAMPAIGNS_DATABASE": f"sqlite:///{folder}/campaigns.db",
            "SHOPFLOOR_CAMPAIGNS_POLL_S": "1",
        }
        (folder / "pass").write_text("correct horse battery staple\n")
        (folder / "evidence.json").write_text(json.dumps(EVIDENCE))

    def start(self) -> None:
        """Hold the ceremony, start both services, log the operator in."""
        self.run("shopfloor-registry trust init --passphrase-file pass")
        token = self.run("shopfloor-registry token make --name ada --role approver").strip()
        (self.folder / "ada.token").write_text(token)
        self.run("shopfloorctl key make ada.key --passphrase-file pass")
        self.run("shopfloor-registry key add --name ada ada.key.pub")
        self.registry = self._serve("shopfloor-registry", "serve")
        targets = f"--targets-url {self.registry}/tuf/targets"
        token = self.run("shopfloor-campaigns token ada approver").strip()
        (self.folder / "ada2.token").write_text(token)
        self.campaigns = self._serve("shopfloor-campaigns", targets)
        self.ctl(f"login registry {self.registry} --token-file ada.token")
        self.ctl(f"login campaigns {self.campaigns} --token-file ada2.token")
        self.root = self.folder / "tuf/metadata/1.root.json"
        headers = {"authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=self.campaigns, timeout=30)
        self.api = httpx.Client(base_url=f"{self.campaigns}/api/v1", headers=headers, timeout=30)

    def stop(self) -> None:
        """End both; each must end by itself and without a fault."""
        for name in ("client", "api"):
            if hasattr(self, name):
                getattr(self, name).close()
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(30) for process in self._processes]
        assert codes == [0] * len(codes)

    def run(self, line: str, *, code: int = 0) -> str:
        """Run a command line; return what it printed."""
        program, *arguments = line.split()
        done = subprocess.run(
            [sys.executable, "-m", MODULES[program], *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if code else "")

    def ctl(self, line: str, *, code: int = 0) -> str:
        return self.run(f"shopfloorctl {line}", code=code)

    def told(self, line: str):
        return json.loads(self.ctl(f"{line} --json"))

    def release(self, version: str, model: bytes, *, golden: bytes | None = None) -> dict:
        """Take a bundle from upload to production and to the devices; return its build."""
        (self.folder / "bundle.tar").write_bytes(
            ota.bundle(model, version=version, golden=golden, padding=100)
        )
        name = f"person-nano {version}"
        self.ctl("models upload bundle.tar")
        self.ctl(f"models report {name} evidence.json")
        self.ctl(f"models promote {name} --to staging --key ada.key --passphrase-file pass")
        self.ctl(f"models publish {name}")
        self.ctl("trust pending")
        self.ctl("trust sign --keys tuf-offline --passphrase-file pass")
        self.ctl(f"models promote {name} --to production --key ada.key --passphrase-file pass")
        return self.told(f"models show {name}")["builds"][0]

    def enrol(self, *names: str) -> dict[str, str]:
        """Make devices known to the campaigns; return their tokens."""
        body = {"devices": [{"name": name, "labels": {"lab": "yes"}} for name in names]}
        answer = self.api.post("/devices", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["tokens"]

    def campaign(self, name: str, version: str, build: dict, **changes) -> None:
        """Create, approve and start a campaign."""
        (self.folder / f"{name}.json").write_text(json.dumps(plan(name, version, build) | changes))
        self.ctl(f"campaigns create {name}.json")
        self.ctl(f"campaigns approve {name}")
        self.ctl(f"campaigns start {name}")

    def show(self, name: str) -> dict:
        return self.api.get(f"/campaigns/{name}").json()

    def states(self, name: str) -> dict[str, str]:
        found = self.api.get(f"/campaigns/{name}/devices").json()["devices"]
        return {one["device"]: one["state"] for one in found}

    def history(self, name: str, device: str) -> list[dict]:
        return self.api.get(f"/campaigns/{name}/devices/{device}/history").json()["history"]

    def _serve(self, program: str, arguments: str) -> str:
        address = self.folder / f"{program}.address"
        flags = [*arguments.split(), "--http-port", "0", "--address-file", str(address)]
        with (self.folder / f"{program}.log").open("ab") as log:
            command = [sys.executable, "-m", MODULES[program], *flags]
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stderr=log, stdout=log
            )
        self._processes.append(process)
        wait_for(lambda: address.exists() or process.poll() is not None, f"{program} starts")
        return f"http://{address.read_text().strip()}"


def plan(name: str, version: str, build: dict) -> dict:
    """Return a plan for all devices at once, without gates."""
    target = build["target"]
    return {
        "name": name,
        "selector": "lab=yes",
        "waves": ["100%"],
        "update": {
            "kind": "model",
            "name": "person-nano",
            "version": version,
            "builds": [
                {
                    "path": f"model/person-nano/{version}/{target}",
                    "hardware": [target],
                    "sha256": build["digest"],
                    "size_bytes": build["size_bytes"],
                }
            ],
        },
        "timing": {"shadow_s": 4, "trial_s": 2},
        "retries": {"attempts": 1},
    }


def wait_for(condition, what: str, *, within_s: float = 90) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {within_s} s: {what}"
        time.sleep(0.1)
