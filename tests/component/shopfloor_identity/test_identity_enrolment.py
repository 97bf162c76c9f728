"""A real device enrols at the real service over TLS 1.3; everybody else is refused and audited."""

import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fakes.identity import SERIAL, House
from shopfloor_edge.errors import IdentityError, IdentityRefusedError
from shopfloor_edge.identity.device import Identity, Invitation
from shopfloor_edge.identity.keys import new_request
from shopfloor_edge.identity.renewal import Renewal
from shopfloor_identity.adapters.http import Rates
from shopfloor_kit.rates import RateLimit


@pytest.fixture
def house(tmp_path):
    with House(tmp_path / "house").serving() as house:
        yield house


def refusals(house):
    return [(action, subject) for _, action, subject, _ in house.audited() if "refuse" in action]


def ask(house, path, body, device=None):
    with httpx.Client(verify=house.context(device), base_url=house.url) as client:
        return client.post(path, json=body)


def enrol_body(house, csr, **more):
    token = house.invite().token
    at = datetime.now(UTC).isoformat()
    return {"token": token, "serial": SERIAL, "csr": csr, "at": at, **more}


def csr_with(key, common="oslo/door"):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_device_enrols_and_its_certificate_says_who_it_is(house, tmp_path):
    device = house.enrolled(tmp_path / "device")

    pair = device.pairs.current()
    certificate = x509.load_pem_x509_certificate((pair.folder / "device.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert pair.name == "oslo/door"
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        "urn:shopfloor:device:oslo/door"
    ]
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert timedelta(days=29, hours=23) < pair.not_after - datetime.now(UTC) < timedelta(days=30)
    assert (tmp_path / "device" / "device.key").stat().st_mode & 0o777 == 0o600
    assert [action for _, action, _, _ in house.audited()] == ["invite", "enrol"]


def test_a_console_s_hosts_come_from_the_token_and_stay_at_renewal(house, tmp_path):
    device = house.device(tmp_path / "device")
    device.enrol(house.invite(hosts=["192.168.1.20", "door.local"]))

    pair = device.renew()

    certificate = x509.load_pem_x509_certificate((pair.folder / "device.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert names.get_values_for_type(x509.DNSName) == ["door.local"]
    assert ExtendedKeyUsageOID.SERVER_AUTH in uses


@pytest.mark.attack("an enrolment token is used again")
def test_a_replayed_token_is_refused_and_audited(house, tmp_path):
    invitation = house.invite()
    house.device(tmp_path / "first").enrol(invitation)

    with pytest.raises(IdentityRefusedError, match="was used at") as refused:
        house.device(tmp_path / "second").enrol(invitation)

    assert refused.value.slug == "token-used"
    assert refusals(house) == [("refuse enrol", "oslo/door")]
    assert not (tmp_path / "second" / "current").exists()


@pytest.mark.attack("a token on another machine")
def test_a_token_for_another_serial_is_refused_and_dies_of_five_tries(house, tmp_path):
    invitation = house.invite()
    thief = Invitation(invitation.token, "STOLEN")
    said = []
    for _ in range(6):
        with pytest.raises(IdentityRefusedError) as refused:
            house.device(tmp_path / "device").enrol(thief)
        said.append(refused.value.slug)

    with pytest.raises(IdentityRefusedError, match="used wrongly 5 times"):
        house.device(tmp_path / "device").enrol(invitation)

    assert said == ["token-other-serial"] * 5 + ["token-dead"]


@pytest.mark.attack("an old token")
def test_a_token_that_is_too_old_is_refused(house, tmp_path):
    invitation = house.invite(minutes=5)
    house.clock.ahead = timedelta(minutes=6)

    with pytest.raises(IdentityRefusedError, match="ended at"):
        house.device(tmp_path / "device").enrol(invitation)


@pytest.mark.attack("a made-up token")
def test_an_unknown_token_is_refused_and_does_not_fill_the_audit_log(house, tmp_path):
    token = f"sfe_{'0' * 12}_{'A' * 43}"

    with pytest.raises(IdentityRefusedError, match="unknown"):
        house.device(tmp_path / "device").enrol(Invitation(token, SERIAL))

    assert house.audited() == []


@pytest.mark.attack("a certificate under another name")
def test_a_request_for_another_name_is_refused(house, tmp_path):
    intruder = house.device(tmp_path / "device", "oslo/till")

    with pytest.raises(IdentityRefusedError, match="asks for 'oslo/till'"):
        intruder.enrol(house.invite("oslo/door"))

    assert refusals(house) == [("refuse enrol", "oslo/door")]


WEAK = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "secp192r1": lambda: ec.generate_private_key(ec.SECP192R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
}


@pytest.mark.parametrize("kind", WEAK)
@pytest.mark.attack("a weak key")
def test_a_weak_or_foreign_key_is_refused_by_its_name(house, kind):
    answer = ask(house, "/api/v1/enrol", enrol_body(house, csr_with(WEAK[kind]())))

    assert (answer.status_code, answer.json()["type"]) == (
        400,
        "urn:shopfloor:problem:csr-weak-key",
    )
    assert kind in answer.json()["detail"]


@pytest.mark.attack("somebody else's key")
def test_a_request_that_its_key_did_not_sign_is_refused(house):
    good = new_request("oslo/door").csr
    der = bytearray(x509.load_pem_x509_csr(good.encode()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE", "CERTIFICATE REQUEST")

    answer = ask(house, "/api/v1/enrol", enrol_body(house, forged))

    assert answer.status_code == 400
    assert "csr-invalid" in answer.json()["type"]


@pytest.mark.attack("a huge request")
def test_a_huge_request_is_refused_before_it_is_read(house):
    long = ask(house, "/api/v1/enrol", enrol_body(house, "A" * 9000))
    huge = ask(house, "/api/v1/enrol", enrol_body(house, "A" * 100_000))

    assert (long.status_code, huge.status_code) == (422, 413)
    assert huge.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("days", "said"), [(1, "24.0 h ahead"), (-1, "24.0 h behind")])
def test_a_clock_that_is_a_day_off_is_one_clear_line(house, tmp_path, days, said):
    site = house.site(tmp_path / "device")
    device = Identity(site, now=lambda: datetime.now(UTC) + timedelta(days=days))

    with pytest.raises(IdentityRefusedError, match=rf"{said}.*set it, and try again") as refused:
        device.enrol(house.invite())

    assert "\n" not in str(refused.value)
    assert refusals(house) == [("refuse enrol", "oslo/door")]


@pytest.mark.attack("no certificate at the identity service")
def test_without_a_certificate_nothing_is_renewed_and_no_secret_is_told(house):
    body = {"csr": new_request("oslo/door").csr, "at": datetime.now(UTC).isoformat()}

    answers = [
        ask(house, "/api/v1/renew", body),
        ask(house, "/api/v1/nonces", {}),
        ask(house, "/api/v1/secrets", {}),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401]


def test_a_renewed_certificate_has_a_new_key_and_the_old_one_stays_good(house, tmp_path):
    device = house.enrolled(tmp_path / "device")
    old = house.context(device)
    first = device.pairs.current()
    key = (first.folder / "device.key").read_bytes()

    second = device.renew()

    assert second.serial != first.serial
    assert (second.folder / "device.key").read_bytes() != key
    assert (tmp_path / "device" / "device.key").read_bytes() != key
    with httpx.Client(verify=old, base_url=house.url) as client:
        assert client.post("/api/v1/nonces").status_code == 201


@pytest.mark.attack("renewal under another device's name")
def test_a_device_cannot_renew_under_another_s_name(house, tmp_path):
    device = house.enrolled(tmp_path / "device")
    body = {"csr": new_request("oslo/till").csr, "at": datetime.now(UTC).isoformat()}

    answer = ask(house, "/api/v1/renew", body, device)

    assert answer.status_code == 403
    assert "csr-other-name" in answer.json()["type"]
    assert refusals(house) == [("refuse renew", "oslo/door")]


@pytest.mark.attack("a revoked certificate at the identity service")
def test_a_revoked_certificate_is_refused_at_once_and_on_the_list(house, tmp_path):
    device = house.enrolled(tmp_path / "device")
    with httpx.Client(verify=house.context(device), base_url=house.url) as client:
        before = client.post("/api/v1/nonces").status_code
        house.parts.office.revoke("oslo/door", "stolen", "ada")
        # The very connection that was open before.
        after = client.post("/api/v1/nonces")

    assert (before, after.status_code) == (201, 403)
    assert "revoked: stolen" in after.json()["detail"]
    with pytest.raises(IdentityRefusedError, match="is revoked"):
        device.renew()
    lists = httpx.get(f"{house.url}/ca.crl", verify=house.context()).content
    serial = device.pairs.current().serial
    second = b"-----BEGIN" + lists.split(b"-----BEGIN")[2]
    assert x509.load_pem_x509_crl(second).get_revoked_certificate_by_serial_number(serial)


def test_a_device_that_enrols_again_loses_what_it_had(house, tmp_path):
    lost = house.enrolled(tmp_path / "lost")
    house.enrolled(tmp_path / "found")

    with pytest.raises(IdentityRefusedError, match="enrolled again"):
        lost.renew()


@pytest.mark.attack("an expired certificate")
def test_an_expired_certificate_does_not_get_past_the_handshake(house, tmp_path):
    # The authority's clock was a month behind when it signed: today that certificate has ended.
    house.clock.ahead = timedelta(days=-31)
    device = Identity(house.site(tmp_path / "device"), now=house.clock)
    device.enrol(house.invite())
    house.clock.ahead = timedelta(0)

    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        ask(house, "/api/v1/nonces", {}, device)
    with pytest.raises(IdentityError, match="set the clock, or enrol again"):
        device.renew()


@pytest.mark.attack("old TLS and a stranger's certificate")
def test_tls_1_2_and_strangers_certificates_are_refused(house, tmp_path):
    old = house.context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    stranger = House(tmp_path / "other")
    with stranger.serving():
        foreign = stranger.enrolled(tmp_path / "foreign")
        context = house.context(foreign)

    for refused in (old, context):
        with pytest.raises((httpx.TransportError, ssl.SSLError)):
            httpx.post(f"{house.url}/api/v1/nonces", verify=refused)


CUTS = """
import os, ssl, sys
from pathlib import Path
from shopfloor_contracts.site import SiteFile
from shopfloor_edge.identity.device import Identity
site, folder = SiteFile.model_validate_json(Path(sys.argv[1]).read_text()), sys.argv[2]
def renew(left):
    def hook(event, args):
        nonlocal left
        watched = ("os.rename", "os.symlink", "os.mkdir", "os.remove", "open")
        if event in watched and folder in str(args):
            left -= 1
            if left == 0:
                os._exit(9)
    sys.addaudithook(hook)
    Identity(site).renew()
    os._exit(0)
for step in range(1, 200, 4):
    child = os.fork()
    if child == 0:
        renew(step)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    pair = Identity(site).show(ssl.create_default_context())
    print(code, pair.name, flush=True)
    if code == 0:
        break
"""


def test_a_cut_at_any_step_of_a_renewal_leaves_a_working_pair(house, tmp_path):
    folder = tmp_path / "device"
    device = house.enrolled(folder)
    before = device.pairs.current().serial
    file = tmp_path / "site.json"
    file.write_text(house.site(folder).model_dump_json())

    argv = [sys.executable, "-c", CUTS, str(file), str(folder)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)

    said = done.stdout.splitlines()
    assert said == ["9 oslo/door"] * (len(said) - 1) + ["0 oslo/door"]
    assert len(said) > 5
    assert device.pairs.current().serial != before
    assert device.renew().name == "oslo/door"


def test_the_agent_renews_at_two_thirds_and_waits_longer_after_each_failure(house, tmp_path):
    device, renewed = house.enrolled(tmp_path / "device"), []
    first = device.pairs.current()
    early = Renewal(device, renewed.append, now=lambda: first.renew_at - timedelta(minutes=5))
    due = Renewal(device, renewed.append, now=lambda: first.renew_at + timedelta(seconds=1))

    assert early.step() == pytest.approx(300, abs=1)
    assert renewed == []
    due.step()

    assert [pair.serial for pair in renewed] == [device.pairs.current().serial]
    house.parts.office.revoke("oslo/door", "stolen", "ada")
    late = Renewal(device, renewed.append, now=lambda: first.not_after)
    waits = [late.step() for _ in range(12)]
    assert 48 <= waits[0] <= 72
    assert waits[3] > 300
    assert max(waits) <= 6 * 3600 * 1.2
    assert len(renewed) == 1


def test_who_asks_too_often_is_told_when_to_come_again(tmp_path):
    rates = Rates(RateLimit(per_minute=60, burst=3), RateLimit(per_minute=60, burst=3))
    with House(tmp_path / "house").serving(rates) as house:
        body = enrol_body(house, "no request")
        answers = [ask(house, "/api/v1/enrol", body) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]
    assert answers[-1].headers["retry-after"] == "1"
