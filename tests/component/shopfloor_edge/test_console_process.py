"""The console as a process: TLS, its end, and *Health*'s way back to the model before."""

import signal
import ssl
import subprocess
import sys
import time
from contextlib import closing

import httpx
import pytest

from fakes.certificates import certify
from fakes.console_site import PIN, SITE, ConsoleSite, csrf, write_staff
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.console.certificate import Certificate
from shopfloor_edge.main import main
from shopfloor_edge.slots.domain import Attempt, Release, Slots, Step, advance, commit, stage
from shopfloor_edge.slots.file import SlotsFile


@pytest.fixture
def site(tmp_path):
    site = ConsoleSite(tmp_path / "state")
    site.see()
    yield site
    site.close()


@pytest.fixture
def served(tmp_path):
    """A console over TLS: its address and its process."""
    certify(tmp_path)
    write_staff(tmp_path / "state")
    files = f'cert_file = "{tmp_path}/cert.pem"\nkey_file = "{tmp_path}/key.pem"\n'
    (tmp_path / "store.toml").write_text(SITE + "\n[console]\nport = 0\n" + files)
    address = tmp_path / "address"
    command = [sys.executable, "-m", "shopfloor_edge.main", "console"]
    command += ["--site", str(tmp_path / "store.toml"), "--state", str(tmp_path / "state")]
    process = subprocess.Popen([*command, "--address-file", str(address)])
    end = time.monotonic() + 60
    while not address.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    yield address.read_text().strip().replace("127.0.0.1", "localhost"), process
    if process.poll() is None:
        process.kill()
    process.wait()


def test_it_speaks_tls_1_3_only_and_ends_at_sigterm_with_pages_open(served, tmp_path):
    url, process = served
    trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    older = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    older.maximum_version = ssl.TLSVersion.TLSv1_2

    with (
        httpx.Client(base_url=url, verify=older) as old,
        pytest.raises(httpx.ConnectError),
    ):
        old.get("/healthz")
    with closing(httpx.Client(base_url=url, verify=trust, timeout=20)) as client:
        form = {"csrf": csrf(client.get("/sign-in").text), "name": "Ana", "pin": PIN}
        answer = client.post("/sign-in", data=form)
        with client.stream("GET", "/live") as live:
            lines = live.iter_lines()
            next(lines)
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=15)
            took_s = time.monotonic() - asked

    assert answer.status_code == 303
    cookies = answer.headers.get_list("set-cookie")
    assert all("Secure" in one for one in cookies if one.startswith("shopfloor_console"))
    assert process.returncode == 0
    assert took_s < 6


def test_a_renewed_certificate_is_shown_without_a_restart(served, tmp_path):
    url, process = served
    address = ("localhost", int(url.rpartition(":")[2]))
    before = ssl.get_server_certificate(address)
    assert before == (tmp_path / "cert.pem").read_text()
    # For a moment key and certificate are no pair, and so nothing may be taken in.
    certify(tmp_path)

    end = time.monotonic() + 30
    while ssl.get_server_certificate(address) == before and time.monotonic() < end:
        time.sleep(0.2)

    assert ssl.get_server_certificate(address) == (tmp_path / "cert.pem").read_text()
    assert process.poll() is None


def test_files_that_are_no_pair_leave_the_certificate_before_in_use(tmp_path, caplog):
    certify(tmp_path)
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate = Certificate(*map(str, files))
    good = [path.read_bytes() for path in files]

    files[1].write_bytes(b"no key")
    taken = certificate.renew()
    for path, content in zip(files, good, strict=True):
        path.write_bytes(content)

    assert not taken
    assert "the certificate before stays in use" in caplog.text
    assert certificate.renew()


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ('host = "0.0.0.0"', "cert_file"),
        ('cert_file = "/nowhere/cert.pem"\nkey_file = "/nowhere/key.pem"', "/nowhere"),
        ('cert_file = "/nowhere/cert.pem"', "belong together"),
        ("ports = 1", "did you mean"),
    ],
)
def test_a_console_that_cannot_be_served_safely_is_one_line(tmp_path, capsys, told, word):
    (tmp_path / "store.toml").write_text(SITE + "\n[console]\nport = 0\n" + told + "\n")

    code = main(
        ["console", "--site", str(tmp_path / "store.toml"), "--state", str(tmp_path / "state")]
    )

    error = capsys.readouterr().err
    assert code == 2
    assert word in error


def installed(state, name):
    """Take a model through staging and trial, as agent and vision do."""
    release = Release(UpdateKind.MODEL, name * 64, 10, f"{name}.tar", name, "1.0")
    file = SlotsFile(state)

    def good(slots: Slots) -> Slots:
        return commit(advance(stage(slots, Attempt(release, "", 0, 0)), Step.TRIAL))

    file.change(good)


def test_a_manager_goes_back_to_the_model_before_with_one_confirmation(site):
    installed(site.state, "a")
    installed(site.state, "b")
    client = site.client("Ben")
    assert "b 1.0" in client.get("/health").text

    asked = client.get("/health/rollback/model")
    answer = client.post("/health/rollback/model", data={"csrf": csrf(asked.text)})

    assert "a 1.0" in asked.text
    assert answer.status_code == 303
    slots = SlotsFile(site.state).read()
    assert slots.model.active.name == "a"
    assert "b" * 64 in slots.quarantine
    assert site.desk.audit.latest(1)[0].action == "roll-back"


def test_a_way_back_that_there_is_not_is_said(site):
    client = site.client("Ben")

    asked = client.get("/health/rollback/model")
    answer = client.post("/health/rollback/model", data={"csrf": csrf(asked.text)})

    assert "No model was installed" in asked.text
    assert answer.status_code == 409


def test_a_member_of_the_staff_is_offered_no_way_back(site):
    installed(site.state, "a")

    assert "rollback" not in site.client("Ana").get("/health").text
    assert "rollback" in site.client("Ben").get("/health").text


def test_a_code_for_a_tablet_is_drawn_on_the_page(site):
    client = site.client("Ben")
    form = {"csrf": csrf(client.get("/health").text), "name": "till <2>"}

    page = client.post("/health/tablets", data=form).text

    assert "<svg" in page
    assert "till &lt;2&gt;" in page
    assert "/enrol/" in page
