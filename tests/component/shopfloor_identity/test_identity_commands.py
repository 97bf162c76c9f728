"""The commands as people type them; each mistake is one line and exit code 2."""

import json
import subprocess

import pytest
from cryptography import x509

from shopfloor_identity.app import main
from shopfloor_identity.ca.keys import read_certificate


@pytest.fixture
def desk(tmp_path):
    """A folder with an authority and settings."""
    (tmp_path / "phrase").write_text("a long enough phrase\n")
    argv = ["ceremony", "--root", str(tmp_path / "root"), "--online", str(tmp_path / "online")]
    assert main([*argv, "--passphrase-file", str(tmp_path / "phrase")]) == 0
    (tmp_path / "identity.toml").write_text(
        f'database = "sqlite:///{tmp_path}/identity.db"\n'
        f'authority = "{tmp_path}/online"\ncrl_file = "{tmp_path}/ca.crl"\n'
    )
    return tmp_path


def run(desk, *argv):
    return main([*argv, "--config", str(desk / "identity.toml")])


def test_the_root_s_key_is_encrypted_and_the_intermediate_cannot_make_another(desk):
    root = (desk / "root" / "root.key").read_text()
    intermediate = read_certificate(desk / "online" / "intermediate.crt")
    limits = intermediate.extensions.get_extension_for_class(x509.BasicConstraints).value

    assert "ENCRYPTED" in root
    assert (limits.ca, limits.path_length) == (True, 0)
    assert (desk / "online" / "intermediate.key").stat().st_mode & 0o777 == 0o600


def test_a_second_ceremony_does_not_overwrite_the_first(desk, capsys):
    argv = ["ceremony", "--root", str(desk / "root"), "--online", str(desk / "online")]

    assert main(argv) == 2
    assert "holds an authority" in capsys.readouterr().err


def test_openssl_believes_what_is_issued_and_the_lists(desk, capsys):
    assert run(desk, "issue", "broker", "--host", "localhost", "--out", str(desk)) == 0
    assert run(desk, "crl") == 0

    argv = ["openssl", "verify", "-crl_check_all", "-CRLfile", str(desk / "ca.crl")]
    argv += ["-CAfile", str(desk / "online" / "root.crt")]
    argv += ["-untrusted", str(desk / "online" / "intermediate.crt"), str(desk / "broker.crt")]
    good = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert run(desk, "revoke", "broker", "--reason", "key lost") == 0
    revoked = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert good.returncode == 0, good.stderr
    assert "certificate revoked" in revoked.stderr


def test_a_withdrawn_intermediate_stays_on_the_root_s_list(desk):
    old = desk / "old.crt"
    old.write_bytes((desk / "online" / "intermediate.crt").read_bytes())
    (desk / "online" / "intermediate.key").rename(desk / "lost.key")
    root = ["--root", str(desk / "root"), "--passphrase-file", str(desk / "phrase")]
    assert main(["ceremony", "--online", str(desk / "online"), *root]) == 0

    assert run(desk, "crl", *root, "--withdraw", str(old)) == 0
    assert run(desk, "crl", *root) == 0

    first = (desk / "ca.crl").read_bytes().split(b"-----BEGIN")[1]
    serial = read_certificate(old).serial_number
    entry = x509.load_pem_x509_crl(b"-----BEGIN" + first)
    assert entry.get_revoked_certificate_by_serial_number(serial)


def test_a_token_is_printed_once_and_the_log_can_be_checked(desk, capsys):
    capsys.readouterr()
    assert run(desk, "token", "oslo/door", "--serial", "A1", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert run(desk, "audit") == 0

    assert made["name"] == "oslo/door"
    assert made["token"] not in (desk / "identity.db").read_bytes().decode(errors="replace")
    assert capsys.readouterr().out.startswith("1 entries, head ")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["token", "oslo", "--serial", "A1"], "device"),
        (["token", "Oslo/door", "--serial", "A1"], "site"),
        (["token", "oslo/door", "--serial", ""], "serial"),
        (["issue", "oslo/door", "--out", "."], "no name of a service"),
        (["revoke", "oslo/none", "--reason", "x"], "no certificate has the name"),
        (["revoke", "oslo/none", "--reason", "a\nb"], "no printable line"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(desk, capsys, argv, said):
    capsys.readouterr()

    assert run(desk, *argv) == 2

    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('http_host = "0.0.0.0"', "TLS is required"),
        ('tls_cert_file = "a"', "belong together"),
        ('authority = "nowhere"', "no certificate can be read there"),
        ("certificat_days = 3", "certificate_days"),
    ],
)
def test_a_wrong_setting_is_named(desk, capsys, line, said):
    text = (desk / "identity.toml").read_text()
    key = line.split(" ")[0]
    kept = "".join(f"{one}\n" for one in text.splitlines() if not one.startswith(key))
    (desk / "identity.toml").write_text(f"{kept}{line}\n")
    capsys.readouterr()

    assert run(desk, "list") == 2
    assert said in capsys.readouterr().err


def test_a_wrong_passphrase_is_one_line(desk, capsys):
    (desk / "wrong").write_text("another long phrase")
    argv = ["crl", "--root", str(desk / "root"), "--passphrase-file", str(desk / "wrong")]

    assert run(desk, *argv) == 2
    assert "no key can be read there" in capsys.readouterr().err
