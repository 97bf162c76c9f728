from __future__ import annotations

import pytest

from shopfloor_ingest.errors import SettingsError
from shopfloor_ingest.settings import load_settings, read_password


def test_flags_win_over_environment_over_file(tmp_path):
    file = tmp_path / "ingest.toml"
    file.write_text('broker_port = 1\nhttp_port = 1\nclient_id = "a"\n')

    settings = load_settings(
        file,
        {"SHOPFLOOR_INGEST_BROKER_PORT": "2", "SHOPFLOOR_INGEST_HTTP_PORT": "2"},
        {"http_port": "3"},
    )

    assert (settings.client_id, settings.broker_port, settings.http_port) == ("a", 2, 3)


def test_an_unknown_key_names_file_key_and_the_nearest_one(tmp_path):
    file = tmp_path / "ingest.toml"
    file.write_text('broker_hots = "a"\n')

    with pytest.raises(SettingsError) as raised:
        load_settings(file, {}, {})

    assert str(file) in str(raised.value)
    assert "unknown key 'broker_hots'; did you mean 'broker_host'?" in str(raised.value)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SHOPFLOOR_INGEST_BROKER_PROT": "1"}, "did you mean 'broker_port'"),
        ({"SHOPFLOOR_INGEST_BROKER_PORT": "0"}, "broker_port is '0'"),
        ({"SHOPFLOOR_INGEST_BROKER_HOST": "mq.example"}, "a broker_ca_file for TLS is required"),
        ({"SHOPFLOOR_INGEST_BROKER_KEY_FILE": "k"}, "belong together"),
        ({"SHOPFLOOR_INGEST_BROKER_PASSWORD_FILE": "p"}, "needs a broker_username"),
    ],
)
def test_a_wrong_value_says_which(environment, words):
    with pytest.raises(SettingsError, match=words):
        load_settings(None, environment, {})


@pytest.mark.parametrize(
    ("content", "words"), [(None, "No such file"), ("a = ", "not TOML"), ("a = 1", "unknown key")]
)
def test_an_unreadable_file_is_named(tmp_path, content, words):
    file = tmp_path / "ingest.toml"
    if content is not None:
        file.write_text(content)

    with pytest.raises(SettingsError, match=words):
        load_settings(file, {}, {})


def test_the_password_is_read_from_its_file(tmp_path):
    file = tmp_path / "password"
    file.write_text("secret\n")
    flags = {"broker_username": "ingest", "broker_password_file": str(file)}

    assert read_password(load_settings(None, {}, flags)) == "secret"
    with pytest.raises(SettingsError, match="broker_password_file"):
        read_password(load_settings(None, {}, flags | {"broker_password_file": "/nowhere"}))
