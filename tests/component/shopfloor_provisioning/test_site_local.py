"""A device on this machine, brought up by the real processes and pyinfra's local connector."""

import json
import subprocess
import sys

import psutil
import pytest

from shopfloor_provisioning import fleet
from shopfloor_provisioning.job import Action, Job, Places
from shopfloor_stack.pki import Authority

SECRET = "correct-horse-battery"
STORE = """
site = "store-7"
[cloud]
broker_host = "127.0.0.1"
broker_port = {port}
[[devices]]
name = "counter-1"
connector = "local"
processes = ["agent"]
[[devices.cameras]]
name = "entrance"
uri = "rtsp://127.0.0.1:9/s"
username = "viewer"
password_secret = "ENTRANCE"
"""
pytestmark = pytest.mark.timeout(90)


class Device:
    """One device of a site in a folder, worked on as the command does it."""

    def __init__(self, folder):
        self.store, self.var = folder / "store-7.toml", folder / "var"
        self.root = self.var / "counter-1"
        self.write(port=9)
        self._pki = folder / "pki"
        self._pki.mkdir()
        Authority(self._pki)

    def write(self, *, port):
        # Nobody listens on the discard port: the agent keeps trying, which is all it is to do.
        self.store.write_text(STORE.format(port=port))

    def job(self, action, name="counter-1"):
        return Job(
            action=action,
            store=self.store,
            device=name,
            var=self.var,
            places=Places(broker_host="127.0.0.1", broker_port=9, authority=self._pki),
            secrets={"ENTRANCE": SECRET},
        )

    def do(self, action):
        return fleet.work([self.job(action)], lambda device, progress: None)["counter-1"]

    def cut(self, after_lines):
        """Begin to apply, and kill it after so many lines of progress; say whether it was cut."""
        argv = [sys.executable, "-m", "shopfloor_provisioning.worker"]
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as worker:
            worker.stdin.write(self.job(Action.APPLY).model_dump_json())
            worker.stdin.close()
            for _ in range(after_lines):
                if "result" in json.loads(worker.stdout.readline()):
                    return False
            worker.kill()
        return True

    def keeper(self):
        return int((self.root / "run/shopfloor/agent.pid").read_text())


@pytest.fixture
def device(tmp_path):
    device = Device(tmp_path)
    yield device
    device.do(Action.DESTROY)


def steps(result):
    return [change.step for change in result.changes]


def test_a_device_is_brought_up_changed_and_taken_back(device):
    first = device.do(Action.APPLY)
    assert first.error == ""
    assert {"folders", "software", "secrets", "site file", "identity", "start"} <= set(steps(first))
    assert device.do(Action.STATUS).processes == {"agent": "running"}

    second = device.do(Action.APPLY)
    assert (second.error, second.changes) == ("", [])

    before = device.keeper()
    device.store.write_text(device.store.read_text() + "fps = 5.0\n")
    planned = device.do(Action.PLAN)
    assert steps(planned) == ["site file", "start"]
    assert "+fps = 5.0" in planned.changes[0].diff
    assert steps(device.do(Action.APPLY)) == ["site file", "start"]
    assert device.keeper() != before

    gone = device.do(Action.DESTROY)
    assert gone.changes[0].what == "end agent"
    assert not device.root.exists()


def test_cut_at_several_steps_it_ends_the_same(device):
    cuts = 0
    while device.cut(3 + 2 * cuts):
        cuts += 1

    assert cuts >= 3
    assert device.do(Action.PLAN).changes == []
    assert [path.name for path in device.root.rglob(".*") if path.is_file()] == []


def test_a_process_that_has_ended_is_started_and_no_secret_is_told(device, capfd):
    results = [device.do(Action.APPLY)]
    keeper = psutil.Process(device.keeper())
    keeper.terminate()
    psutil.wait_procs([keeper], timeout=20)

    results += [device.do(action) for action in (Action.PLAN, Action.COLLECT)]

    assert [change.what for change in results[1].changes] == ["start agent"]
    assert results[2].collected.processes == {"agent": "ended"}
    file = device.root / "etc/shopfloor/secrets/entrance"
    holders = [p for p in device.var.rglob("*") if p.is_file() and SECRET in p.read_text("latin-1")]
    assert holders == [file]
    assert file.stat().st_mode & 0o777 == 0o640
    assert SECRET not in "".join(result.model_dump_json() for result in results)
    assert SECRET not in "".join(capfd.readouterr())


MORE = """[[devices]]
name = "{name}"
{way}
processes = ["agent"]
[[devices.cameras]]
name = "entrance"
uri = "rtsp://127.0.0.1:9/s"
"""
FAR = 'address = "127.0.0.1"\nport = 9\nhost_key = "ssh-ed25519 AAAA"\nuser = "x"'


def test_many_devices_are_brought_up_at_once_and_a_bad_one_stops_none(device):
    names = ["counter-1", "counter-2", "counter-3", "far"]
    more = [
        ("counter-2", 'connector = "local"'),
        ("counter-3", 'connector = "local"'),
        ("far", FAR),
    ]
    text = device.store.read_text() + "".join(MORE.format(name=n, way=w) for n, w in more)
    device.store.write_text(text)
    told = []

    jobs = [device.job(Action.APPLY, name) for name in names]
    results = fleet.work(jobs, lambda name, progress: told.append((name, progress)))
    ended = fleet.work([device.job(Action.DESTROY, n) for n in names[:3]], lambda *_: None)

    assert [name for name in names if results[name].error] == ["far"]
    assert "127.0.0.1" in results["far"].error
    assert all("start" in steps(results[name]) for name in names[:3])
    order = [name for name, _ in told if name != "far"]
    assert set(order) == set(names[:3])
    # At once: none has ended before all have begun.
    assert max(order.index(n) for n in set(order)) < min(
        len(order) - order[::-1].index(n) for n in set(order)
    )
    assert all(result.error == "" for result in ended.values())
