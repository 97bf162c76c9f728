"""Secrets: where they are found, and that nothing repeats them."""

import pyrage
import pytest

from shopfloor_provisioning.errors import SecretError
from shopfloor_provisioning.job import Action, Job, Places
from shopfloor_provisioning.secrets import Secrets, read_secrets

VALUE = "correct-horse-battery"


@pytest.fixture
def encrypted(tmp_path):
    identity = pyrage.x25519.Identity.generate()
    key = tmp_path / "key.txt"
    key.write_text(f"# created today\n{identity}\n")
    store = tmp_path / "store-7.toml"
    plain = f'DOOR = "{VALUE}"\nOTHER = "x"\n'.encode()
    sealed = pyrage.encrypt(plain, [identity.to_public()])
    store.with_suffix(".secrets.age").write_bytes(sealed)
    return store, {"SHOPFLOOR_AGE_KEY_FILE": str(key)}


def test_the_environment_holds_a_secret(tmp_path):
    found = read_secrets({"DOOR"}, tmp_path / "s.toml", {"SHOPFLOOR_SECRET_DOOR": VALUE})

    assert found["DOOR"] == VALUE


def test_the_encrypted_file_holds_a_secret(encrypted):
    store, environment = encrypted

    assert read_secrets({"DOOR"}, store, environment)["DOOR"] == VALUE


def test_the_environment_wins_over_the_file(encrypted):
    store, environment = encrypted

    found = read_secrets({"DOOR"}, store, {**environment, "SHOPFLOOR_SECRET_DOOR": "newer"})

    assert found["DOOR"] == "newer"


def test_all_missing_secrets_are_named_at_once(tmp_path):
    with pytest.raises(SecretError, match=r"SHOPFLOOR_SECRET_A, SHOPFLOOR_SECRET_B"):
        read_secrets({"B", "A"}, tmp_path / "s.toml", {})


def test_a_wrong_key_is_told_without_quoting_it(encrypted, tmp_path):
    store, _ = encrypted
    other = tmp_path / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()))

    with pytest.raises(SecretError) as caught:
        read_secrets({"DOOR"}, store, {"SHOPFLOOR_AGE_KEY_FILE": str(other)})

    assert "is not encrypted to the identity" in str(caught.value)
    assert "AGE-SECRET" not in str(caught.value)


def test_no_representation_shows_a_value():
    job = Job(
        action=Action.PLAN,
        store="store.toml",
        device="d",
        var="var",
        places=Places(broker_host="h", broker_port=1),
        secrets={"DOOR": VALUE},
    )

    assert VALUE not in repr(job)
    assert VALUE not in repr(Secrets({"DOOR": VALUE}))


def test_what_is_printed_has_values_blanked_out():
    assert Secrets({"DOOR": VALUE}).hide(f"no {VALUE}!") == "no ********!"
