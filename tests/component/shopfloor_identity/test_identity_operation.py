"""What people do at the service over HTTPS, and what holds when its disk does not."""

from datetime import UTC, datetime

import httpx
import pytest

from fakes.identity import SERIAL, House
from shopfloor_edge.identity.device import Invitation
from shopfloor_identity.adapters.tables import AUDIT, TOKENS
from shopfloor_kit.audit import Verified, verify
from shopfloor_kit.database import reading
from shopfloor_kit.tokens import Caller, Role, issue


@pytest.fixture
def house(tmp_path):
    with House(tmp_path / "house").serving() as house:
        yield house


def test_people_let_a_device_in_and_out_over_https_with_the_rights_of_their_tokens(house, tmp_path):
    with house.parts.engine.begin() as connection:
        tokens = {
            role: issue(connection, TOKENS, Caller(f"{role}", role), at=datetime.now(UTC))
            for role in (Role.VIEWER, Role.OPERATOR)
        }
    wanted = {"site": "oslo", "device": "door", "serial": SERIAL}
    why = {"reason": "stolen"}

    def say(role, path, body):
        headers = {"authorization": f"Bearer {tokens[role]}"} if role else {}
        url = f"{house.url}/api/v1/{path}"
        return httpx.post(url, json=body, headers=headers, verify=house.context())

    refused = [say(None, "tokens", wanted), say(Role.VIEWER, "tokens", wanted)]
    made = say(Role.OPERATOR, "tokens", wanted)
    house.device(tmp_path / "door").enrol(Invitation(made.json()["token"], SERIAL))
    unknown = say(Role.OPERATOR, "devices/oslo/till/revoke", why)
    revoked = say(Role.OPERATOR, "devices/oslo/door/revoke", why)
    listed = httpx.get(
        f"{house.url}/api/v1/certificates",
        params={"name": "oslo/door"},
        headers={"authorization": f"Bearer {tokens[Role.VIEWER]}"},
        verify=house.context(),
    ).json()

    assert [answer.status_code for answer in refused] == [401, 403]
    assert (made.status_code, unknown.status_code, revoked.status_code) == (201, 404, 200)
    assert revoked.json()["serials"] == [listed[0]["serial"]]
    assert listed[0]["reason"] == "stolen"
    assert house.audited()[0][0] == "operator"


def test_the_audit_log_is_a_chain_over_all_of_this(house, tmp_path):
    house.enrolled(tmp_path / "device")
    house.parts.office.revoke("oslo/door", "stolen", "ada")

    actions = [entry[1] for entry in house.audited()]

    with reading(house.parts.engine).connect() as connection:
        assert isinstance(verify(connection, AUDIT), Verified)
    assert actions == ["invite", "enrol", "revoke"]


def test_a_list_that_cannot_be_written_costs_no_enrolment_and_is_made_up_for(house, tmp_path):
    house.enrolled(tmp_path / "lost")
    good = house.settings.crl_file
    obstacle = good.with_name(f"{good.name}.tmp")
    obstacle.mkdir()

    device = house.enrolled(tmp_path / "found")
    sick = house.parts.lists.complaint()
    obstacle.rmdir()
    house.parts.lists.refresh()

    assert device.pairs.current().name == "oslo/door"
    assert sick == "the list of revoked certificates could not be written"
    assert house.parts.lists.complaint() is None
    assert good.read_bytes().count(b"-----BEGIN X509 CRL") == 2
