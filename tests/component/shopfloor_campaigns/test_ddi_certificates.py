"""Devices come to the campaigns with their certificates; tokens stay as the second way."""

import ssl

import httpx
import pytest

from fakes.campaign_devices import Cloud, plan
from fakes.identity import House, serving
from shopfloor_edge.agent.updater.campaigns import Campaigns
from shopfloor_edge.agent.updater.http import Http
from shopfloor_edge.errors import UpdateDelayedError
from shopfloor_kit.peers import PeerGuard, RevocationFile
from shopfloor_kit.tls import TlsFiles


@pytest.fixture
def house(tmp_path):
    with House(tmp_path / "house").serving() as house:
        yield house


@pytest.fixture
def cloud(tmp_path):
    cloud = Cloud(f"sqlite:///{tmp_path}/campaigns.db")
    yield cloud
    cloud.close()


@pytest.fixture
def url(house, cloud):
    settings = house.settings
    files = TlsFiles(settings.tls_cert_file, settings.tls_key_file, settings.tls_ca_file)
    guarded = PeerGuard(cloud.api, revoked=RevocationFile(settings.crl_file, look_s=0.0))
    with serving(guarded, files) as url:
        yield url


def identity_of(house, tmp_path, name):
    return house.enrolled(tmp_path / name, name.replace(".", "/"))


def get(url, context, name, **headers):
    with httpx.Client(verify=context, base_url=url) as client:
        return client.get(f"/default/controller/v1/{name}", headers=headers)


def test_the_updater_polls_with_its_certificate_and_no_token(cloud, house, url, tmp_path):
    device, _ = cloud.add(2)
    cloud.create(plan(waves=["100%"]))
    cloud.ordered("nano-2", "approve", "start")
    http = Http(
        str(house.authority.certificate), identity=identity_of(house, tmp_path, device.name)
    )

    errand = Campaigns(http, url, device.name, None).poll()
    http.close()

    assert errand.deployment == str(device.action())


@pytest.mark.attack("another device's deployment")
def test_another_s_deployment_is_not_found_even_with_that_one_s_token(cloud, house, url, tmp_path):
    device, other = cloud.add(2)
    context = house.context(identity_of(house, tmp_path, device.name))

    without = get(url, context, other.name)
    token = get(url, context, other.name, authorization=f"TargetToken {other.token}")

    assert (without.status_code, token.status_code) == (404, 404)
    assert without.json()["type"] == "urn:shopfloor:problem:unknown-device"


@pytest.mark.attack("no certificate at the campaigns")
def test_without_a_certificate_the_handshake_fails(house, url):
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        get(url, house.context(), "oslo.door")


def test_a_service_s_certificate_is_no_device_and_wants_a_token(cloud, house, url):
    (device,) = cloud.add(1)
    pair = house.authority.client("proxy", "proxy")
    context = house.context()
    context.load_cert_chain(pair.certificate, pair.key)

    without = get(url, context, device.name)
    token = get(url, context, device.name, authorization=f"TargetToken {device.token}")

    assert (without.status_code, token.status_code) == (401, 200)


@pytest.mark.attack("a revoked device at the campaigns")
def test_a_revoked_device_is_refused_on_the_connection_that_it_has_open(
    cloud, house, url, tmp_path
):
    (device,) = cloud.add(1)
    identity = identity_of(house, tmp_path, device.name)
    path = f"/default/controller/v1/{device.name}"
    with httpx.Client(verify=house.context(identity), base_url=url) as client:
        before = client.get(path).status_code
        house.parts.office.revoke(device.name.replace(".", "/"), "stolen", "ada")
        after = client.get(path)
    http = Http(str(house.authority.certificate), identity=identity)

    assert (before, after.status_code) == (200, 403)
    assert "is revoked" in after.json()["detail"]
    with pytest.raises(UpdateDelayedError, match="403"):
        Campaigns(http, url, device.name, None).poll()
    http.close()


def test_after_a_renewal_the_updater_shows_the_new_certificate(cloud, house, url, tmp_path):
    (device,) = cloud.add(1)
    identity = identity_of(house, tmp_path, device.name)
    http = Http(str(house.authority.certificate), identity=identity)
    campaigns = Campaigns(http, url, device.name, None)
    campaigns.poll()
    first = identity.pairs.current().serial

    identity.renew()
    house.parts.office.revoke(f"{first:x}", "old", "ada")
    http.close()

    assert campaigns.poll().sleep_s == 60.0
    http.close()
