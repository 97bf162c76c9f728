"""A campaigns service with a clock of ours, and devices that talk to it."""

from __future__ import annotations

import itertools
import socket
import threading
from datetime import UTC, datetime, timedelta

import httpx
import uvicorn
from prometheus_client import CollectorRegistry

from shopfloor_campaigns.adapters.devices import token_digest
from shopfloor_campaigns.adapters.http import build_api
from shopfloor_campaigns.adapters.http_campaigns import campaigns_router
from shopfloor_campaigns.adapters.http_ddi import DdiSettings, ddi_router
from shopfloor_campaigns.adapters.metrics import CampaignMeter, DeviceCollector
from shopfloor_campaigns.adapters.pages.console import console_router
from shopfloor_campaigns.adapters.reports import Reports
from shopfloor_campaigns.adapters.schema import prepare
from shopfloor_campaigns.adapters.service import Service
from shopfloor_campaigns.adapters.tables import TOKENS
from shopfloor_campaigns.adapters.writer import Writer
from shopfloor_kit.database import open_engine, reading
from shopfloor_kit.health import health_router
from shopfloor_kit.tokens import Caller, Gatekeeper, Role, issue

BEGAN = datetime(2026, 3, 2, 12, tzinfo=UTC)
OLD, NEW = "a" * 64, "b" * 64
GATEWAY = "g" * 40


class Cloud:
    """The service in this process; ``settle`` does at once what it does by itself."""

    def __init__(self, database_url: str, folder=None, poll_s: int = 60) -> None:
        self.now = BEGAN
        self.engine = open_engine(database_url)
        prepare(self.engine)
        registry = CollectorRegistry()
        self.service = Service(self.engine, CampaignMeter(registry), lambda: self.now)
        self.writer, reports = Writer(self.engine, self.service.memory), Reports(self.engine)
        registry.register(DeviceCollector(reports.tally, reports.statuses))
        settings = DdiSettings(
            "default", poll_s, "http://registry/tuf/targets", folder, token_digest(GATEWAY)
        )
        self.api = build_api(
            health_router({"database": self.writer.complaint}, registry),
            campaigns_router(
                reports, self.writer, self.service, Gatekeeper.over(self.engine, TOKENS)
            ),
            console_router(
                self.engine,
                self.writer,
                service=self.service,
                reports=reports,
                now=lambda: self.now,
            ),
            ddi_router(reading(self.engine), self.writer, self.service, settings, lambda: self.now),
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(self.api, log_config=None, access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        self._thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=30)
        with self.engine.begin() as connection:
            self.tokens = {
                role: issue(connection, TOKENS, Caller(str(role), role), at=BEGAN) for role in Role
            }
        self.writer.start(self)

    def do(self) -> None:
        """The writer's chores are ours to time: ``settle``."""

    def settle(self, **later: float) -> None:
        """Let time go by, then decide and dispatch until nothing more changes."""
        self.now += timedelta(**later)
        for _ in range(4):
            self.service._rounded_s = float("-inf")
            self.writer.submit(lambda connection: None).result()
            self.service.do()

    def ask(self, method: str, path: str, *, role=Role.APPROVER, **arguments):
        headers = {"authorization": f"Bearer {self.tokens[role]}", **arguments.pop("headers", {})}
        return self.client.request(method, f"/api/v1{path}", headers=headers, **arguments)

    def ordered(self, name: str, *orders: str) -> dict:
        for order in orders:
            answer = self.ask("POST", f"/campaigns/{name}/{order}")
            assert answer.status_code == 200, answer.text
        self.settle()
        return self.show(name)

    def show(self, name: str) -> dict:
        return self.ask("GET", f"/campaigns/{name}").json()

    def waves(self, name: str) -> list[str]:
        return [wave["status"] for wave in self.show(name)["waves"]]

    def states(self, name: str) -> dict[str, str]:
        found = self.ask("GET", f"/campaigns/{name}/devices?limit=1000").json()["devices"]
        return {job["device"]: job["state"] for job in found}

    def add(self, count: int, **labels: str) -> list[Device]:
        names = [f"s{number}.d" for number in range(count)]
        return self.add_named(names, **labels)

    def add_named(self, names, *, capabilities="onnx-fp32", time_zone="UTC", **labels):
        wanted = [{"name": n, "labels": labels, "time_zone": time_zone} for n in names]
        tokens = self.ask("POST", "/devices", json={"devices": wanted}).json()["tokens"]
        found = [Device(self, name, tokens[name]) for name in names]
        for device in found:
            said = {"mode": "merge", "data": {"capabilities": capabilities}}
            assert device.put("configData", said).status_code == 200
        return found

    def create(self, plan: dict) -> dict:
        answer = self.ask("POST", "/campaigns", json=plan)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def close(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self.writer.stop()
        self.engine.dispose()


class Device:
    """One device, as unhurried as the test that plays it."""

    def __init__(self, cloud: Cloud, name: str, token: str) -> None:
        self.cloud, self.name, self.token = cloud, name, token
        self._seq = itertools.count(1)

    @property
    def path(self) -> str:
        return f"/default/controller/v1/{self.name}"

    def request(self, method: str, place: str = "", **arguments):
        headers = {"authorization": f"TargetToken {self.token}", **arguments.pop("headers", {})}
        path = place if place.startswith("http") else f"{self.path}{place and '/'}{place}"
        return self.cloud.client.request(method, path, headers=headers, **arguments)

    def put(self, place: str, body: dict):
        return self.request("PUT", place, json=body)

    def links(self) -> dict[str, str]:
        found = self.request("GET").json().get("_links", {})
        return {key: link["href"] for key, link in found.items()}

    def action(self) -> int | None:
        """Read what waits, as a device does; return its number."""
        href = self.links().get("deploymentBase")
        if href is None:
            return None
        answer = self.request("GET", href)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["id"])

    def deployment(self) -> dict:
        return self.request("GET", self.links()["deploymentBase"]).json()["deployment"]

    def say(self, action: int, execution: str, finished="none", *, time="", details=(), about=""):
        status = {
            "execution": execution,
            "result": {"finished": finished},
            "details": list(details),
        }
        place = f"{about or 'deploymentBase'}/{action}/feedback"
        return self.request("POST", place, json={"id": "1", "time": time, "status": status})

    def report(self, action: int, *, seq: int | None = None, counts=(0, 0, 0), **more):
        agreed, only_old, only_new = counts
        pair = {"camera": "c", "line": "l", "agreed": agreed}
        body = {
            "seq": next(self._seq) if seq is None else seq,
            "phase": "shadow",
            "digest": NEW,
            "base": OLD,
            "began_at": "2026-03-02T12:00:00Z",
            "ended_at": "2026-03-02T12:05:00Z",
            "observed_s": 300.0,
            "counts": [pair | {"only_old": only_old, "only_new": only_new}],
        }
        return self.request("POST", f"deploymentBase/{action}/evidence", json=body | more)

    def install(self, *, counts=(100, 0, 0), finished="success") -> int:
        """Do all of an action, to its end."""
        action = self.action()
        assert action is not None, f"{self.name} has nothing to do"
        self.say(action, "download")
        if sum(counts):
            self.report(action, counts=counts)
        assert self.say(action, "closed", finished).status_code == 200
        return action


def plan(name: str = "nano-2", *, target: str = "onnx-fp32", **changes) -> dict:
    """Return a plan that two waves of one device and of the rest carry out."""
    build = {
        "path": f"model/person-nano/2.0/{target}",
        "hardware": [target],
        "sha256": NEW,
        "size_bytes": 1000,
    }
    return {
        "name": name,
        "selector": "",
        "update": {"kind": "model", "name": "person-nano", "version": "2.0", "builds": [build]},
        "waves": [1, "100%"],
        "gates": [{"gate": "install-success", "limit": 0.5, "minimum": 1}],
    } | changes
