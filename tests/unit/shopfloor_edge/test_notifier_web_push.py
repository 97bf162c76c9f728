import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fakes.notice_servers import http_server
from shopfloor_contracts.notify import WebPushSpec
from shopfloor_contracts.rules import Severity
from shopfloor_edge.errors import NoticeDelayedError
from shopfloor_edge.journal.pushes import MAX_SUBSCRIPTIONS, PushBook, Subscription
from shopfloor_edge.notifier.texts import Message
from shopfloor_edge.notifier.web_push import WebPushChannel, audience_of

MESSAGE = Message(
    "Warning: long-queue (b)", "tills · camera entrance", Severity.CRITICAL, "https://c/"
)


class Browser:
    """Has the private half, and opens what it is sent (RFC 8291 from the other side)."""

    def __init__(self, port, path="one"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.secret = b"sixteen bytes ok"
        self.subscription = Subscription(
            f"http://127.0.0.1:{port}/{path}", encoded(self.point), encoded(self.secret)
        )

    @property
    def point(self):
        return point(self.key.public_key())

    def open(self, body):
        salt, theirs_bytes, sealed = body[:16], body[21:86], body[86:]
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs_bytes)
        about = b"WebPush: info\x00" + self.point + theirs_bytes
        shared = derive(self.key.exchange(ec.ECDH(), theirs), self.secret, about, 32)
        key = derive(shared, salt, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = derive(shared, salt, b"Content-Encoding: nonce\x00", 12)
        return json.loads(AESGCM(key).decrypt(nonce, sealed, None)[:-1])


def point(key):
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def derive(secret, salt, about, size):
    return HKDF(algorithm=hashes.SHA256(), length=size, salt=salt, info=about).derive(secret)


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def service():
    with http_server() as served:
        yield served


@pytest.fixture
def channel(tmp_path):
    spec = WebPushSpec(
        key_file=str(tmp_path / "push.pem"), contact="mailto:it@example.org", hosts=["127.0.0.1"]
    )
    channel = WebPushChannel(spec, tmp_path)
    yield channel
    channel.close()


@pytest.fixture
def book(tmp_path):
    book = PushBook(tmp_path)
    yield book
    book.close()


def test_a_browser_reads_what_the_push_service_cannot(channel, book, service):
    port, letters = service
    browser = Browser(port)
    book.add(browser.subscription, 0.0)

    channel.send(MESSAGE)

    [(path, headers, body)] = letters.now
    assert path == "/one"
    assert browser.open(body) == {
        "title": MESSAGE.title,
        "body": MESSAGE.body,
        "link": "https://c/",
    }
    assert b"long-queue" not in body
    assert headers["Content-Encoding"] == "aes128gcm"
    assert (headers["TTL"], headers["Urgency"]) == ("3600", "high")
    assert headers["Authorization"].startswith("vapid t=")


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_is_gone_is_forgotten(channel, book, service, status):
    port, letters = service
    letters.status = status
    book.add(Browser(port).subscription, 0.0)

    channel.send(MESSAGE)

    assert book.all() == []


@pytest.mark.parametrize("status", [429, 500, 503, 307])
def test_a_service_that_is_busy_gets_it_later(channel, book, service, status):
    port, letters = service
    letters.status, letters.location = status, "http://127.0.0.1:9/elsewhere"
    book.add(Browser(port).subscription, 0.0)

    with pytest.raises(NoticeDelayedError, match=str(status)):
        channel.send(MESSAGE)

    assert len(book.all()) == 1


def test_one_browser_that_cannot_be_reached_keeps_nothing_from_the_others(channel, book, service):
    port, letters = service
    book.add(Subscription("http://127.0.0.1:9/x", *_keys(port)), 0.0)
    book.add(Browser(port).subscription, 1.0)

    channel.send(MESSAGE)

    assert len(letters.now) == 1


def _keys(port):
    known = Browser(port).subscription
    return known.p256dh, known.auth


def test_a_subscription_elsewhere_or_with_broken_keys_is_forgotten_and_never_called(
    channel, book, service
):
    port, letters = service
    book.add(Subscription("https://evil.example/x", *_keys(port)), 0.0)
    book.add(Subscription(f"http://127.0.0.1:{port}/y", "AAAA", "AAAA"), 0.0)

    channel.send(MESSAGE)

    assert (letters.now, book.all()) == ([], [])


@pytest.mark.parametrize(
    ("endpoint", "audience"),
    [
        ("https://push.example/a/b?c", "https://push.example"),
        ("https://push.example:8443/a", "https://push.example:8443"),
        ("http://push.example/a", None),
        ("https://push.example.evil.example/a", None),
        ("https://user@push.example/a", None),
        ("https://push.example:port/a", None),
        ("file:///etc/passwd", None),
        ("", None),
    ],
)
def test_only_encrypted_endpoints_of_named_services_are_called(endpoint, audience):
    spec = WebPushSpec(key_file="/k", contact="mailto:a@b.c", hosts=["push.example"])

    assert audience_of(endpoint, spec) == audience


def test_browsers_that_ask_are_bounded_and_the_oldest_go(book):
    for number in range(MAX_SUBSCRIPTIONS + 3):
        book.add(Subscription(f"https://p/{number:04}", "k", "a"), float(number))
    book.remove("https://p/0005")

    kept = [one.endpoint for one in book.all()]

    assert (kept[0], len(kept)) == ("https://p/0003", MAX_SUBSCRIPTIONS - 1)
