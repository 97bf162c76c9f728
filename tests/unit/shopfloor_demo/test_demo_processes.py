"""Processes end with the one who started them, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from shopfloor_demo.errors import ProcessDiedError, WaitedTooLongError
from shopfloor_demo.processes import Processes, free_port, wait_until

SLEEP = ["sleep", "60"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); time.sleep(60)",
]
ORCHESTRATOR = """
import signal, sys, time
from pathlib import Path
from shopfloor_demo.processes import Processes
# A shell's background job ignores it, and so would we.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Processes(Path(sys.argv[1])) as processes:
    print(processes.start("a", ["sleep", "60"]), processes.start("b", ["sleep", "60"]), flush=True)
    time.sleep(60)
"""


@pytest.fixture
def processes(tmp_path):
    with Processes(tmp_path / "logs") as processes:
        yield processes


@pytest.fixture
def orchestrator(tmp_path):
    """A process with two children, their ids, and their certain end."""
    argv = [sys.executable, "-c", ORCHESTRATOR, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as popen:
        children = [psutil.Process(int(pid)) for pid in popen.stdout.readline().split()]
        yield popen, children
        popen.kill()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_children_end_with_an_orchestrator_that_is_ended(orchestrator, number):
    popen, children = orchestrator

    popen.send_signal(number)

    popen.wait(timeout=10)
    wait_until(lambda: all(map(gone, children)), timeout_s=5, what="end of the children")


def test_an_exception_leaves_no_process_behind(tmp_path):
    processes = Processes(tmp_path)

    def fail():
        with processes:
            processes.start("sleeper", SLEEP)
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    pid = processes.pid("sleeper")
    assert not psutil.pid_exists(pid)


def test_a_signal_to_our_process_group_does_not_reach_children(processes):
    pid = processes.start("sleeper", SLEEP)

    assert os.getpgid(pid) != os.getpgrp()
    assert os.getsid(pid) != os.getsid(0)


def test_a_process_that_ignores_the_request_to_end_is_killed(processes):
    processes.start("stubborn", STUBBORN)
    log = processes.log_path("stubborn")
    wait_until(lambda: "deaf" in log.read_text(), timeout_s=10, what="word of the process")

    assert processes.stop("stubborn", grace_s=0.2) == -signal.SIGKILL


def test_a_killed_process_can_be_restarted_with_its_arguments(processes):
    first = processes.start("sleeper", SLEEP)
    processes.kill9("sleeper")

    second = processes.restart("sleeper")

    assert second != first
    assert psutil.Process(second).cmdline()[-2:] == SLEEP
    assert processes.returncode("sleeper") is None


def test_cpu_time_is_known_after_the_end_and_summed_over_runs(processes):
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    processes.start("burner", [sys.executable, "-c", burn])
    assert processes.wait("burner", timeout_s=20) == 0
    once = processes.cpu_s("burner")

    processes.restart("burner")
    processes.wait("burner", timeout_s=20)

    assert once >= 0.3
    assert processes.cpu_s("burner") >= once + 0.3


def test_a_process_that_died_is_reported_with_its_last_words(processes):
    processes.start("broken", ["sh", "-c", "echo no such disk >&2; exit 7"])
    processes.wait("broken", timeout_s=10)

    with pytest.raises(ProcessDiedError, match=r"broken ended with 7, see .*: no such disk"):
        processes.check("broken")


def test_environment_is_added_to_ours(processes, monkeypatch):
    monkeypatch.setenv("OURS", "1")
    processes.start("env", ["sh", "-c", "echo $OURS$THEIRS"], env={"THEIRS": "2"})
    processes.wait("env", timeout_s=10)

    assert processes.log_path("env").read_text() == "12\n"


def test_waiting_says_what_did_not_come():
    with pytest.raises(WaitedTooLongError, match=r"no tram after 0\.05 s"):
        wait_until(lambda: False, timeout_s=0.05, what="tram")


def test_a_free_port_is_one():
    assert 1024 <= free_port() <= 65_535


def test_two_processes_of_one_name_are_refused(processes):
    processes.start("sleeper", SLEEP)

    with pytest.raises(ValueError, match="running already"):
        processes.start("sleeper", SLEEP)


def test_logs_of_runs_follow_each_other(processes, tmp_path: Path):
    processes.start("talker", ["echo", "word"])
    processes.wait("talker", timeout_s=10)
    processes.restart("talker")
    processes.wait("talker", timeout_s=10)

    assert (tmp_path / "logs" / "talker.log").read_text() == "word\nword\n"
