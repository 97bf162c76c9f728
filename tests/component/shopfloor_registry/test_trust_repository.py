"""A repository against python-tuf's own client, over loopback HTTP."""

import argparse
import json

import pytest

from fakes.tuf_attacks import ATTACKS, GOOD, PATH, install
from fakes.tuf_site import NOW, PASSPHRASE, TufSite
from shopfloor_registry.trust import inspection
from shopfloor_registry.trust.ceremony import replace_online, replace_root, replace_targets
from shopfloor_registry.trust.commands import add_trust_commands
from shopfloor_registry.trust.errors import (
    KeyFileError,
    RepositoryError,
    StagedError,
    TargetTakenError,
)
from shopfloor_registry.trust.keys import load_keys, make_key
from shopfloor_registry.trust.repository import JOURNAL, Repository
from shopfloor_registry.trust.signing import sign


@pytest.fixture
def site(tmp_path):
    return TufSite(tmp_path)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused(site, name):
    attack, refusal = ATTACKS[name]
    site.add(PATH, GOOD)

    assert attack(site) == refusal


def test_a_device_installs_what_was_signed_and_sees_the_custom_metadata(site):
    site.add(PATH, GOOD)

    with site.served() as address:
        device = site.device(address)
        assert install(device) == GOOD
        assert device.get_targetinfo(PATH).custom["hardware"] == ["any"]


def test_staged_files_are_not_listed_before_they_are_signed(site):
    site.stage(PATH, GOOD)

    assert site.repository.find(PATH) is None
    assert [str(c).split(":")[0] for s in site.repository.staged() for c in s.changes] == [PATH]


def test_a_document_that_was_not_signed_offline_is_not_published(site):
    site.stage(PATH, GOOD)
    online = load_keys(site.repository.online, "timestamp", None)

    with pytest.raises(StagedError):
        site.accept(online)

    assert site.repository.find(PATH) is None


def test_a_signed_document_that_was_not_staged_is_refused(site):
    site.stage(PATH, GOOD)
    document = json.loads(site.repository.staged()[0].document)
    document["signed"]["targets"][PATH]["length"] = 1

    with pytest.raises(StagedError, match="not one of those staged"):
        site.repository.accept([sign(json.dumps(document).encode(), site.keys)], now=NOW)


def test_a_path_never_gets_other_bytes(site):
    site.add(PATH, GOOD)

    with pytest.raises(TargetTakenError):
        site.stage(PATH, b"other")

    site.stage(PATH, GOOD)
    assert site.repository.staged() == []


@pytest.mark.parametrize("path", ["../x", "a/../b", "/a/b", "a", "a//b", "a/b\n", "a/" + "b" * 400])
def test_a_path_that_could_climb_out_is_refused(site, path):
    with pytest.raises(RepositoryError, match="target path"):
        site.stage(path, GOOD)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_a_device_follows_the_rotation_of_every_key(site, role):
    site.add(PATH, GOOD)
    with site.served() as address:
        install(site.device(address))
        folder = site.repository.online if role in ("snapshot", "timestamp") else site.folder
        new = make_key(folder, role, None)
        if role == "root":
            replace_root(site.repository, drop=site.root[0].public_key.keyid, add=new, now=NOW)
        elif role == "targets":
            replace_targets(site.repository, drop="", add=new, now=NOW)
        else:
            replace_online(site.repository, role, new, now=NOW)

        site.accept([*site.root, new])

        assert install(site.device(address)) == GOOD
    assert inspection.verify(site.repository, now=NOW) == 1
    assert any(new.public_key.keyid[:16] in one.keys for one in _status(site) if one.role == role)


def _status(site):
    return inspection.status(site.repository, now=NOW)


def test_a_root_below_its_threshold_changes_nothing(site):
    new = make_key(site.folder, "root", None)
    replace_root(site.repository, drop=site.root[0].public_key.keyid, add=new, now=NOW)

    with pytest.raises(StagedError):
        site.accept(site.root[:1])

    assert site.repository.chain.root_version() == 1


def test_a_change_that_was_cut_off_is_finished_when_the_repository_is_opened(site):
    site.add(PATH, GOOD)
    metadata = site.repository.metadata
    after = {path.name: path.read_text() for path in metadata.iterdir()}
    (metadata / "timestamp.json").unlink()
    (metadata / "2.snapshot.json").unlink()
    journal = {name: after[name] for name in ("timestamp.json", "2.snapshot.json")}
    (site.repository.folder / JOURNAL).write_text(json.dumps(journal))

    opened = Repository(site.repository.folder)

    assert opened.find(PATH) is not None
    assert not (site.repository.folder / JOURNAL).exists()


def test_a_file_that_changed_on_the_registry_is_found(site):
    site.add(PATH, GOOD)
    site.repository.target_file(site.repository.find(PATH)).write_bytes(b"other")

    with pytest.raises(RepositoryError, match=PATH):
        inspection.verify(site.repository, now=NOW)


def test_keys_are_private_encrypted_and_refused_with_another_passphrase(tmp_path):
    make_key(tmp_path, "root", lambda _name: PASSPHRASE)
    (path,) = tmp_path.glob("root-*.pem")

    assert path.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        load_keys(tmp_path, "root", lambda _name: b"another passphrase")
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="0600"):
        load_keys(tmp_path, "root", lambda _name: PASSPHRASE)


def test_an_unclear_key_to_drop_is_refused(site):
    with pytest.raises(RepositoryError, match="key to drop ''"):
        replace_root(site.repository, drop="", add=site.root[0], now=NOW)


def test_the_way_of_a_target_through_the_commands(tmp_path, capsys):
    (tmp_path / "secret").write_bytes(PASSPHRASE)
    (tmp_path / "file").write_bytes(GOOD)
    custom = '{"kind": "model", "name": "m", "version": "1", "hardware": ["any"]}'
    documents = str(tmp_path / "documents")

    assert _trust(tmp_path, "init") == 0
    assert _trust(tmp_path, "add-target", PATH, str(tmp_path / "file"), "--custom", custom) == 0
    for command in (("staged", "--documents"), ("sign",), ("accept",)):
        assert _trust(tmp_path, *command, documents) == 0
    assert _trust(tmp_path, "rotate", "timestamp") == 0
    (tmp_path / "documents").rename(tmp_path / "done")
    for command in (("staged", "--documents"), ("sign",), ("accept",)):
        assert _trust(tmp_path, *command, documents) == 0
    assert _trust(tmp_path, "verify") == 0
    assert _trust(tmp_path, "status") == 0

    said = capsys.readouterr().out
    assert "1 targets verified" in said
    assert "PRIVATE" not in said


def test_a_mistake_at_the_command_line_is_one_line_and_exit_code_2(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        _trust(tmp_path, "verify")

    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def _trust(folder, *words):
    parser = argparse.ArgumentParser()
    add_trust_commands(parser.add_subparsers(required=True))
    places = {"repository": "tuf", "online": "on", "keys": "off", "passphrase-file": "secret"}
    flags = [part for key, name in places.items() for part in (f"--{key}", str(folder / name))]
    arguments = parser.parse_args(["trust", *words, *flags])
    return arguments.run(arguments)
