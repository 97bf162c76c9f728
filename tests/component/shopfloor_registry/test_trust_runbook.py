"""The runbook of the keys of updates: every command, as the program takes it."""

import re
from pathlib import Path

import pytest

from shopfloor_registry.app import main
from shopfloor_registry.trust.commands import add_trust_commands

RUNBOOK = (Path(__file__).parents[3] / "docs/runbooks/update-trust.md").read_text()
PATH = "model/person-nano/1.2.0/onnx-fp32"
CUSTOM = '{"kind": "model", "name": "person-nano", "version": "1.2.0", "hardware": ["onnx-fp32"]}'


@pytest.fixture
def trust(tmp_path, capsys):
    """Return a function that runs a command and gives its exit code and what it printed."""
    (tmp_path / "secret").write_text("correct horse battery staple\n")
    (tmp_path / "file").write_bytes(b"weights" * 500)
    places = {"repository": "tuf", "online": "on", "keys": "off", "passphrase-file": "secret"}
    flags = [part for key, name in places.items() for part in (f"--{key}", str(tmp_path / name))]

    def run(*words):
        code = main(["trust", *words, *flags])
        return code, capsys.readouterr().out

    run.folder = tmp_path
    return run


def signed(trust, name):
    """Carry what is staged to the offline keys and back; return what was published."""
    documents = str(trust.folder / name)
    assert trust("staged", "--documents", documents)[0] == 0
    assert trust("sign", documents)[0] == 0
    code, said = trust("accept", documents)
    assert code == 0
    return said.split()


def test_every_command_of_the_runbook_works_in_its_order(trust):
    code, fingerprints = trust("init", "--root-keys", "3", "--root-threshold", "2")
    assert code == 0
    assert len([line for line in fingerprints.splitlines() if line.startswith("root")]) == 3

    assert trust("add-target", PATH, str(trust.folder / "file"), "--custom", CUSTOM)[0] == 0
    assert any(role.startswith("bin") or "-" in role for role in signed(trust, "added"))
    assert trust("verify") == (0, "1 targets verified\n")
    assert trust("refresh") == (0, "not due\n")
    assert trust("publish")[0] == 0
    assert trust("status")[0] == 0

    oldest = next(line.split()[1] for line in fingerprints.splitlines() if line[:4] == "root")
    for role in ("timestamp", "snapshot", "targets"):
        assert trust("rotate", role)[0] == 0
        assert signed(trust, f"rotated-{role}")
    assert trust("rotate", "root", "--drop", oldest)[0] == 0
    assert "root" in signed(trust, "rotated-root")

    assert trust("revoke-target", PATH)[0] == 0
    signed(trust, "revoked")
    assert trust("verify") == (0, "0 targets verified\n")
    assert trust("renew") == (0, "nothing is due\n")


def test_the_runbook_names_every_command():
    import argparse  # noqa: PLC0415

    parser = argparse.ArgumentParser()
    add_trust_commands(parser.add_subparsers())
    (group,) = parser._subparsers._group_actions
    (commands,) = group.choices["trust"]._subparsers._group_actions
    named = set(re.findall(r"`trust ([a-z-]+)", RUNBOOK))

    assert named == set(commands.choices)
