"""Certificates of our own authority: kept while they are good, made again before they end."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from shopfloor_stack.errors import OperatorError
from shopfloor_stack.pki import LEAF_LIFE, Authority

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_certificate_is_kept_until_a_month_before_its_end(tmp_path):
    first = Authority(tmp_path, now=NOW).client("ingest", "ingest").certificate.read_bytes()

    soon = Authority(tmp_path, now=NOW + LEAF_LIFE - timedelta(days=31))
    later = Authority(tmp_path, now=NOW + LEAF_LIFE - timedelta(days=29))

    assert soon.client("ingest", "ingest").certificate.read_bytes() == first
    assert later.client("ingest", "ingest").certificate.read_bytes() != first


def test_a_certificate_of_another_identity_is_made_again(tmp_path):
    authority = Authority(tmp_path, now=NOW)
    authority.client("device", "oslo/door")

    held = authority.client("device", "oslo/gate").certificate.read_bytes()

    [name] = x509.load_pem_x509_certificate(held).subject
    assert name.value == "oslo/gate"


def test_keys_are_readable_by_their_owner_alone(tmp_path):
    Authority(tmp_path).server("broker", ["localhost", "127.0.0.1"])

    keys = list(tmp_path.rglob("*.key"))
    assert len(keys) == 3
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


def test_a_client_of_the_authority_is_no_server(tmp_path):
    authority = Authority(tmp_path)
    client = authority.client("ingest", "ingest")
    server = authority.server("broker", ["localhost"])

    assert handshake(authority, server) is None
    assert "purpose" in str(handshake(authority, client))


def test_a_folder_with_a_broken_key_is_one_clear_line(tmp_path):
    authority = Authority(tmp_path)
    (authority.online / "intermediate.key").write_text("no key")

    with pytest.raises(OperatorError, match="no authority can be read there"):
        Authority(tmp_path)


def handshake(authority, pair):
    """Do a TLS handshake in memory with ``pair`` as the server; return what the client says."""
    ours = ssl.create_default_context(cafile=str(authority.certificate))
    ours.check_hostname = False
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(pair.certificate, pair.key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(down, up)
    server = theirs.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as e:
                return e
            except ssl.SSLError:
                return None
    return None
