"""Lists of revoked certificates as our services read them, and limits of how often one may ask."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from shopfloor_identity.ca.certificates import Leaf, Signer, make_intermediate, make_leaf, make_root
from shopfloor_identity.ca.keys import new_key
from shopfloor_identity.ca.lists import Revoked, make_list
from shopfloor_kit.errors import ProblemError, RevocationListError
from shopfloor_kit.peers import Peer, RevocationFile
from shopfloor_kit.rates import RateLimit

NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Office:
    """An authority in memory, and the file of its lists."""

    def __init__(self, path, name="Test devices"):
        self.path, key = path, new_key()
        self.root = Signer(make_root(key, "Test root", NOW), key)
        own = new_key()
        self.own = Signer(make_intermediate(self.root, own, name, NOW), own)
        self.number = 0

    def peer(self, name="oslo/door"):
        leaf = Leaf(name, timedelta(days=30))
        made = make_leaf(self.own, leaf, new_key().public_key(), NOW)
        return Peer.from_der(made.public_bytes(Encoding.DER))

    def publish(self, *peers, at=NOW):
        self.number += 1
        entries = [Revoked(peer.serial, at) for peer in peers]
        life = timedelta(days=7)
        lists = [
            make_list(self.root, (), number=1, now=at, life=life),
            make_list(self.own, entries, number=self.number, now=at, life=life),
        ]
        half = self.path.with_suffix(".tmp")
        half.write_bytes(b"".join(lists))
        half.replace(self.path)


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path / "ca.crl")
    office.publish()
    return office


def test_a_new_list_counts_from_the_next_look_on(office):
    peer, other = office.peer(), office.peer("oslo/till")
    lists = RevocationFile(office.path, look_s=0.0)
    before = lists.complaint(peer, NOW)

    office.publish(peer)

    assert before is None
    assert "is revoked" in lists.complaint(peer, NOW)
    assert lists.complaint(other, NOW) is None


def test_a_serial_of_another_authority_is_another_certificate(office, tmp_path):
    peer = office.peer()
    other = Office(tmp_path / "other.crl", "Other devices")
    other.publish(peer)

    assert RevocationFile(other.path).complaint(peer, NOW) is None


def test_everybody_is_refused_when_a_list_has_ended(office):
    lists = RevocationFile(office.path)

    assert "ended at 2026-03-09" in lists.complaint(office.peer(), NOW + timedelta(days=7))


@pytest.mark.parametrize("content", [b"", b"no list", b"-----BEGIN X509 CRL-----\nAAAA"])
def test_a_file_that_is_no_list_is_an_error_at_the_start(tmp_path, content):
    (tmp_path / "ca.crl").write_bytes(content)

    with pytest.raises(RevocationListError, match=r"ca\.crl"):
        RevocationFile(tmp_path / "ca.crl")


def test_a_list_that_is_lost_later_goes_on_to_count(office):
    peer = office.peer()
    office.publish(peer)
    lists = RevocationFile(office.path, look_s=0.0)

    os.unlink(office.path)  # noqa: PTH108

    assert "is revoked" in lists.complaint(peer, NOW)


def test_a_bucket_lets_a_burst_pass_and_fills_again():
    at_s = [0.0]
    rates = RateLimit(per_minute=60, burst=3, clock_s=lambda: at_s[0])
    first = [rates.take("a") for _ in range(4)]
    other = rates.take("b")
    at_s[0] = 1.0
    later = [rates.take("a"), rates.take("a")]

    assert first == [0.0, 0.0, 0.0, 1.0]
    assert other == 0.0
    assert later == [0.0, 1.0]
    with pytest.raises(ProblemError) as refused:
        rates.demand("a")
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "1"})
