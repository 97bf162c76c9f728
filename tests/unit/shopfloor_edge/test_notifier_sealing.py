import base64
import json
import stat

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from shopfloor_edge.errors import OperatorError
from shopfloor_edge.notifier.sealing import (
    PAYLOAD_MAX,
    KeyRefusedError,
    authorization,
    load_key,
    public_text,
    seal,
)

# RFC 8291 appendix A: the intermediate values of its example.
PLAINTEXT = b"When I grow up, I want to be a watermelon"
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6T"
    "lzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def plain(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_example_of_rfc_8291_comes_out_byte_for_byte():
    ours = ec.derive_private_key(int.from_bytes(plain(PRIVATE), "big"), ec.SECP256R1())

    body = seal(PLAINTEXT, p256dh=P256DH, auth=AUTH, salt=plain(SALT), ours=ours)

    assert base64.urlsafe_b64encode(body).rstrip(b"=").decode() == BODY


def test_two_messages_of_the_same_words_have_nothing_in_common():
    first, second = (seal(PLAINTEXT, p256dh=P256DH, auth=AUTH) for _ in range(2))

    assert first[:16] != second[:16]
    assert first[86:] != second[86:]


@pytest.mark.parametrize(
    ("p256dh", "auth", "payload"),
    [
        ("not base64!", AUTH, b"x"),
        (P256DH[:-4], AUTH, b"x"),
        (P256DH[:-4] + "AAAA", AUTH, b"x"),
        (P256DH, AUTH + "AAAA", b"x"),
        (P256DH, AUTH, b"x" * (PAYLOAD_MAX + 1)),
    ],
)
def test_keys_that_no_browser_has_are_refused(p256dh, auth, payload):
    with pytest.raises(KeyRefusedError):
        seal(payload, p256dh=p256dh, auth=auth)


def test_who_sends_is_proved_to_one_push_service_and_for_half_a_day(tmp_path):
    key = load_key(tmp_path / "push.pem")

    header = authorization(key, audience="https://push.example", contact="mailto:a@b.c", now=1000.0)

    token, told_key = header.removeprefix("vapid t=").split(", k=")
    head, claims, signature = token.split(".")
    assert json.loads(plain(claims)) == {
        "aud": "https://push.example",
        "exp": 1000 + 12 * 3600,
        "sub": "mailto:a@b.c",
    }
    assert told_key == public_text(key)
    r, s = plain(signature)[:32], plain(signature)[32:]
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    key.public_key().verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))


def test_the_devices_key_is_made_once_and_is_for_this_user_alone(tmp_path):
    path = tmp_path / "keys" / "push.pem"

    first, again = load_key(path), load_key(path)

    assert public_text(first) == public_text(again)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_holds_no_such_key_is_one_line(tmp_path):
    (tmp_path / "push.pem").write_text("nothing")

    with pytest.raises(OperatorError, match=r"push\.pem: no private key"):
        load_key(tmp_path / "push.pem")
