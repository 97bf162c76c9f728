"""A package manager that is at work is waited for: two at once get in each other's way."""

import shutil
import subprocess

import pytest

from shopfloor_provisioning import debian


class Here:
    """Runs scripts on this machine."""

    def must(self, script, _what, *, timeout_s):
        return subprocess.run(["sh", "-c", script], check=True, timeout=timeout_s)


@pytest.fixture
def at_work(tmp_path):
    """A process that is called like Debian's."""
    program = tmp_path / "apt-get"
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([program, "60"]) as process:
        yield process
        process.kill()


def test_the_next_run_waits_until_the_package_manager_has_ended(at_work):
    script = subprocess.Popen(["sh", "-c", debian.AT_REST])
    with pytest.raises(subprocess.TimeoutExpired):
        script.wait(1)

    at_work.kill()
    at_work.wait()

    assert script.wait(20) == 0


def test_a_system_at_rest_is_not_waited_for():
    debian.await_rest(Here())
