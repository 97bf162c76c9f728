"""``make chaos-ingest``: events flow while everything in the cloud is killed at random.

Real mosquitto, real PostgreSQL, two replicas of ingest on one shared subscription, real agents on
real outboxes, one of them so small that it drops. For ``SECONDS`` one or two of them at a time get
SIGKILL and come back up to three seconds later, drawn from a printed seed. When every outbox is
empty again, the account is drawn up to the event. Writes ``var/bench/chaos-ingest.json``; ends
with 1 when anything was lost, stored twice, summed wrongly or reported missing without being so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests"))

from perf.chaos_account import Account, settle_accounts  # noqa: E402
from perf.chaos_load import Feeder, Load  # noqa: E402
from perf.chaos_stack import ChaosStack  # noqa: E402
from shopfloor_demo.processes import wait_until  # noqa: E402

SITES = ("oslo", "bergen", "malmo")
SMALL_ROWS = 60
"""What a device makes in 1.5 s: the small outbox drops whenever its way out is shut for longer."""
AWAY_S = (0.1, 3.0)
PAUSE_S = (0.3, 4.0)
SETTLE_S = 180.0
WEIGHTS = {"database": 3, "broker": 3, "ingest-1": 3, "ingest-2": 3}
"""Beside 1 for each agent, shared by all of them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, with how many devices at how many events a second each, and which dice."""

    seconds: float
    devices: int = 8
    rate: float = 40.0
    seed: int = 1
    first: tuple[str, ...] = ("database", "broker", "ingest-1")
    """Killed once at the beginning, so that a short run has met each kind."""


@dataclass(frozen=True, slots=True)
class Result:
    """The account, the kills by name, and the seconds until the last outbox was empty."""

    account: Account
    kills: Counter[str]
    settled_s: float


def run(plan: Plan, folder: Path, **database: str) -> Result:
    """Play the plan in ``folder`` and return what it came to."""
    loads = [
        Load(SITES[n % len(SITES)], f"device-{n}", folder / f"device-{n}")
        for n in range(plan.devices)
    ]
    loads[0].max_rows = SMALL_ROWS
    with ChaosStack(folder, loads, **database) as stack:
        stack.start()
        feeder = Feeder(loads, rate=plan.rate, seed=plan.seed)
        feeder.start()
        try:
            kills = _chaos(stack, plan)
        finally:
            feeder.finish()
        began_s = time.monotonic()
        wait_until(stack.is_drained, timeout_s=SETTLE_S, what="empty outboxes", interval_s=0.2)
        settled_s = time.monotonic() - began_s
        engine = stack.open_engine()
        account = settle_accounts(engine, loads)
        engine.dispose()
    return Result(account, kills, settled_s)


def _chaos(stack: ChaosStack, plan: Plan) -> Counter[str]:
    chance, kills = random.Random(plan.seed), Counter[str]()
    victims, first = stack.victims(), list(plan.first)
    agents = [name for name in victims if name not in WEIGHTS]
    names = [*WEIGHTS, *agents]
    weights = [*WEIGHTS.values(), *(2 / len(agents) for _ in agents)]
    end_s = time.monotonic() + plan.seconds
    while time.monotonic() < end_s or first:
        time.sleep(chance.uniform(*PAUSE_S) if not first else PAUSE_S[0])
        drawn = chance.choices(names, weights, k=1 if first or chance.random() < 0.7 else 2)
        chosen = [first.pop(0)] if first else sorted(set(drawn))
        for name in chosen:
            victims[name][0]()
            kills[name] += 1
        time.sleep(chance.uniform(*AWAY_S))
        for name in chosen:
            victims[name][1]()
    return kills


def main() -> int:
    """Run, print, write."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=120)
    arguments.add_argument("--devices", type=int, default=8)
    arguments.add_argument("--rate", type=float, default=40, help="events a second of a device")
    arguments.add_argument("--seed", type=int, default=None)
    parsed = arguments.parse_args()
    seed = random.randrange(10**6) if parsed.seed is None else parsed.seed
    plan = Plan(parsed.seconds, parsed.devices, parsed.rate, seed)
    console = Console()
    console.print(f"seed {seed}: {plan.devices} devices, {plan.rate:g} events/s each")
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        result = run(plan, Path(folder))
    written = {
        **asdict(result.account),
        "kills": result.kills.total(),
        "killed": dict(result.kills),
        "settled_s": round(result.settled_s, 1),
        "seconds": plan.seconds,
        "devices": plan.devices,
        "seed": seed,
        "machine": _machine(),
    }
    path = REPOSITORY / "var/bench/chaos-ingest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(written, indent=1) + "\n")
    console.print_json(json.dumps(written))
    console.print(f"{path.relative_to(REPOSITORY)} written")
    return 1 if is_wrong(result.account) else 0


def is_wrong(account: Account) -> bool:
    """Say whether the account does not come out."""
    return bool(account.faults) or account.sent != account.stored or account.duplicated > 0


def _machine() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    raise SystemExit(main())
