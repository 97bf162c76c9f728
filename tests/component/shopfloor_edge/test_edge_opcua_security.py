"""OPC-UA with certificates: who is named gets in, nobody else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from shopfloor_contracts.recipes import (
    OpcUaClient,
    OpcUaSecurity,
    OpcUaServer,
    OpcUaTrigger,
)
from shopfloor_demo.processes import free_port, wait_until
from shopfloor_edge.errors import OutputError
from shopfloor_edge.inspection.arrivals import TriggerQueue
from shopfloor_edge.inspection.line import LineSignal, safe_signal
from shopfloor_edge.inspection.outputs import opcua_client, opcua_server
from shopfloor_edge.inspection.triggers.opcua import OpcUaTriggers

RUNNING = LineSignal("running", run=True, warning=False)
LOST = safe_signal("stop", "inspector lost")
POLICIES = ["Aes256Sha256RsaPss", "Basic256Sha256"]


@pytest.fixture(scope="module")
def sync():
    return pytest.importorskip("asyncua.sync")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A certificate and a key each, by name; ``late`` has expired."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, days in (("station", 30), ("plc", 30), ("stranger", 30), ("late", -1)):
        make_certificate(folder, name, days)
    return folder


def make_certificate(folder, name, days):
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:test:{name}")]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def security(people, name, *trusted, **more):
    return OpcUaSecurity(
        certificate_file=str(people / f"{name}.pem"),
        key_file=str(people / f"{name}.key"),
        trusted=[str(people / f"{peer}.pem") for peer in trusted],
        **more,
    )


def serve(people, *trusted, **more):
    endpoint = f"opc.tcp://127.0.0.1:{free_port()}/shopfloor"
    spec = OpcUaServer(endpoint=endpoint, security=security(people, "station", *trusted, **more))
    return opcua_server.open_output(spec, lost=LOST, name="aoi"), endpoint


def plc_reads(people, endpoint, name, **more):
    """Read ``run`` as the PLC ``name`` does, through our own client side."""
    spec = OpcUaClient(
        endpoint=endpoint,
        run="ns=2;s=aoi.run",
        security=security(people, name, "station", **more),
    )
    line = opcua_client.OpcUaClientLine(spec, name)
    try:
        return line._client.get_node("ns=2;s=aoi.run").read_value()
    finally:
        line.close()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_plc_that_is_named_reads_the_line(sync, people, policy):
    server, endpoint = serve(people, "plc", policy=policy)
    try:
        server.show(RUNNING)

        assert plc_reads(people, endpoint, "plc", policy=policy) is True
    finally:
        server.close()


@pytest.mark.parametrize("name", ["stranger", "late"])
def test_a_stranger_and_an_expired_certificate_are_refused(sync, people, name):
    server, endpoint = serve(people, "plc", "late")
    try:
        with pytest.raises(OutputError):
            plc_reads(people, endpoint, name)
    finally:
        server.close()


def test_nobody_without_a_certificate_gets_in(sync, people):
    server, endpoint = serve(people, "plc")
    client = sync.Client(endpoint, timeout=2)
    try:
        with pytest.raises(Exception, match=r".*") as refused:
            client.connect()
        assert not isinstance(refused.value, AssertionError)
    finally:
        client.tloop.stop()
        server.close()


def test_the_station_speaks_to_no_other_plc_than_the_one_it_knows(sync, people):
    server, endpoint = serve(people, "plc")
    spec = OpcUaClient(
        endpoint=endpoint, run="ns=2;s=aoi.run", security=security(people, "plc", "stranger")
    )
    try:
        with pytest.raises(OutputError):
            opcua_client.OpcUaClientLine(spec, "aoi").close()
    finally:
        server.close()


def test_a_trigger_is_heard_over_a_secured_line(sync, people):
    server, endpoint = serve(people, "plc")
    spec = OpcUaTrigger(
        kind="opcua",
        endpoint=endpoint,
        node="ns=2;s=aoi.beat",
        security=security(people, "plc", "station"),
    )
    queue = TriggerQueue()
    triggers = OpcUaTriggers(spec, queue, "aoi")
    triggers.start()
    try:
        wait_until(lambda: triggers._last == 0, timeout_s=10, what="subscription")
        server.beat(1)
        wait_until(lambda: queue.waiting == 1, timeout_s=5, what="trigger")
    finally:
        triggers.close()
        server.close()


@pytest.mark.parametrize(
    ("field", "content", "says"),
    [
        ("certificate_file", b"no certificate", "not a certificate, expected PEM or DER"),
        ("key_file", b"no key", "key"),
        ("key_file", None, "No such file"),
    ],
)
def test_files_that_cannot_be_used_are_named(sync, people, tmp_path, field, content, says):
    path = tmp_path / "bad.pem"
    if content is not None:
        path.write_bytes(content)
    broken = security(people, "station", "plc").model_copy(update={field: str(path)})
    spec = OpcUaServer(endpoint=f"opc.tcp://127.0.0.1:{free_port()}/x", security=broken)

    with pytest.raises(OutputError, match=says) as error:
        opcua_server.open_output(spec, lost=LOST, name="aoi")

    assert "bad.pem" in str(error.value)
