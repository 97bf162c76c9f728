"""What an operator may set, and one clear line for what cannot be used."""

import pytest

from shopfloor_stack.errors import OperatorError
from shopfloor_stack.settings import DEFAULT_PORTS, read_ports, read_settings


def test_parts_that_are_not_named_keep_their_port():
    assert read_ports("ingest=18080, broker=18883") == {
        **DEFAULT_PORTS,
        "ingest": 18080,
        "broker": 18883,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("broke=1", "unknown part 'broke'; did you mean 'broker'?"),
        ("broker=0", "broker is '0', expected 1 to 65535"),
        ("broker=65536", "expected 1 to 65535"),
        ("broker=٣", "expected 1 to 65535"),
        ("broker", "broker is ''"),
        ("broker=8080", "broker and ingest have the same port"),
    ],
)
def test_a_port_that_cannot_be_used_is_named(text, said):
    with pytest.raises(OperatorError, match=f"SHOPFLOOR_PORTS: .*{said.replace('?', '.')}"):
        read_ports(text)


@pytest.mark.parametrize(
    "text", ["ftp://a/b", "a/b", "http://", "http://a b/", "http://a/'\nx: y", "http://[/"]
)
def test_a_webhook_that_is_no_address_is_refused(text):
    with pytest.raises(OperatorError, match=r"SHOPFLOOR_WEBHOOK is .*, expected http://HOST"):
        read_settings({"SHOPFLOOR_WEBHOOK": text})


def test_nothing_set_is_the_checkout_and_the_ports_of_the_files(tmp_path):
    settings = read_settings({})

    assert settings.folder.parts[-2:] == ("var", "cloud")
    assert settings.ports == DEFAULT_PORTS
