"""A device with a TPM: its key opens on that machine only, and secrets are given for a quote."""

import json
from base64 import b64decode, b64encode
from datetime import timedelta

import httpx
import pytest

from fakes.identity import House
from fakes.software_tpm import extend, software_tpm, wants_tpm
from shopfloor_edge.errors import IdentityError, IdentityRefusedError, TpmError
from shopfloor_edge.identity.keys import tpm_of
from shopfloor_edge.identity.secret_files import read_secret, use_identity

pytestmark = wants_tpm
ZERO = "0" * 64


@pytest.fixture
def tcti(tmp_path):
    with software_tpm(tmp_path / "tpm") as tcti:
        yield tcti


def attested(tmp_path, **pcrs):
    policy = tmp_path / "attestation.toml"
    lines = "".join(f"{number.removeprefix('p')} = {values}\n" for number, values in pcrs.items())
    policy.write_text(f"[sites.oslo]\nrequired = true\n[sites.oslo.pcrs]\n{lines}")
    vault = tmp_path / "vault"
    (vault / "oslo" / "door").mkdir(parents=True)
    (vault / "oslo" / "camera").write_text("site's word")
    (vault / "oslo" / "wifi").write_text("everybody's")
    (vault / "oslo" / "door" / "camera").write_text("door's word")
    (vault / "bergen").mkdir()
    (vault / "bergen" / "other").write_text("not for oslo")
    return House(tmp_path / "house", attestation_file=policy, secrets_folder=vault)


def test_keys_lie_encrypted_and_open_with_this_tpm_alone(tmp_path, tcti):
    with House(tmp_path / "house").serving() as house:
        device = house.enrolled(tmp_path / "door", key="tpm", tpm=tcti)
        device.show(house.context())
        renewed = device.renew()

        files = [path for path in (tmp_path / "door").rglob("*") if path.is_file()]
        assert not any(b"PRIVATE KEY" in path.read_bytes() for path in files)
        assert (renewed.folder / "device.key.tpm").exists()
        with (
            software_tpm(tmp_path / "another") as other,
            pytest.raises(TpmError, match="tpm2_load"),
        ):
            house.device(tmp_path / "door", key="tpm", tpm=other).show(house.context())


def test_a_key_that_is_sealed_to_registers_does_not_open_after_another_boot(tmp_path, tcti):
    with House(tmp_path / "house").serving() as house:
        options = {"key": "tpm", "tpm": tcti, "seal_pcrs": [7]}
        house.enrolled(tmp_path / "door", **options).show(house.context())
        house.device(tmp_path / "door", **options).show(house.context())

        extend(tcti, 7, "11" * 32)

        with pytest.raises(TpmError, match="tpm2_unseal"):
            house.device(tmp_path / "door", **options).show(house.context())


def test_secrets_are_given_for_a_quote_that_fits_the_policy_and_stay_sealed(tmp_path, tcti):
    with attested(tmp_path, p0=[ZERO], p7=[ZERO]).serving() as house:
        device = house.enrolled(tmp_path / "door", key="tpm", tpm=tcti, quote_pcrs=[0, 7])

        names = device.fetch_secrets()

        use_identity(house.site(tmp_path / "door", key="tpm", tpm=tcti))
        kept = tmp_path / "door" / "secrets" / "camera"
        assert names == ["camera", "wifi"]
        assert read_secret(kept) == b"door's word"
        assert b"word" not in kept.read_bytes()
        assert house.audited()[-1][1] == "secrets"


@pytest.mark.attack("a secret for a machine that booted something else")
def test_after_another_boot_no_secret_is_given_and_that_is_audited(tmp_path, tcti):
    with attested(tmp_path, p7=[ZERO]).serving() as house:
        device = house.enrolled(tmp_path / "door", key="tpm", tpm=tcti, quote_pcrs=[0, 7])
        extend(tcti, 7, "22" * 32)

        with pytest.raises(IdentityRefusedError, match=r"register 7 is .* not in the policy"):
            device.fetch_secrets()

        assert house.audited()[-1][1:3] == ("refuse secrets", "oslo/door")


def test_a_register_that_is_not_quoted_a_device_without_a_tpm_and_another_s_quote_are_refused(
    tmp_path, tcti
):
    with attested(tmp_path, p7=[ZERO]).serving() as house:
        partial = house.enrolled(tmp_path / "door", key="tpm", tpm=tcti, quote_pcrs=[0])
        plain = house.enrolled(tmp_path / "till", "oslo/till")

        with pytest.raises(IdentityRefusedError, match="register 7 is not quoted"):
            partial.fetch_secrets()
        with pytest.raises(IdentityRefusedError, match="for a quote of the TPM only"):
            plain.fetch_secrets()


def change(quote, **to):
    return {**quote, **to}


def flip(text):
    raw = bytearray(b64decode(text))
    raw[len(raw) // 2] ^= 1
    return b64encode(bytes(raw)).decode()


FORGERIES = {
    "signature": lambda q: change(q, signature=flip(q["signature"])),
    "message": lambda q: change(q, message=flip(q["message"])),
    "values": lambda q: change(q, registers={**q["registers"], "7": "33" * 32}),
    "cut off": lambda q: change(q, message=b64encode(b64decode(q["message"])[:40]).decode()),
    "empty": lambda q: change(q, message="AAAA"),
}


@pytest.mark.parametrize("how", FORGERIES)
@pytest.mark.attack("a forged quote")
def test_a_forged_quote_is_refused(tmp_path, tcti, how):
    with attested(tmp_path, p7=[ZERO]).serving() as house:
        device = house.enrolled(tmp_path / "door", key="tpm", tpm=tcti)
        tpm = tpm_of(house.site(tmp_path / "door", key="tpm", tpm=tcti).identity)
        with httpx.Client(verify=house.context(device), base_url=house.url) as client:
            nonce = b64decode(client.post("/api/v1/nonces").json()["nonce"])
            quote = json.loads(tpm.quote(nonce, [0, 7]).model_dump_json())
            answer = client.post("/api/v1/secrets", json={"quote": FORGERIES[how](quote)})
            again = client.post("/api/v1/secrets", json={"quote": quote})

    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:shopfloor:problem:quote-refused"
    assert again.json()["type"] == "urn:shopfloor:problem:nonce-refused"


@pytest.mark.attack("a replayed quote")
def test_an_old_quote_under_a_fresh_nonce_is_refused(tmp_path, tcti):
    with attested(tmp_path, p7=[ZERO]).serving() as house:
        device = house.enrolled(tmp_path / "door", key="tpm", tpm=tcti)
        tpm = tpm_of(house.site(tmp_path / "door", key="tpm", tpm=tcti).identity)
        old = tpm.quote(b"recorded on a better day", [7]).model_dump(mode="json")
        with httpx.Client(verify=house.context(device), base_url=house.url) as client:
            fresh = client.post("/api/v1/nonces").json()["nonce"]
            answer = client.post("/api/v1/secrets", json={"quote": {**old, "nonce": fresh}})

    assert answer.status_code == 403
    assert "for another nonce" in answer.json()["detail"]


def test_a_nonce_is_good_once_for_one_device_and_two_minutes(tmp_path, tcti):
    with attested(tmp_path, p7=[ZERO]).serving() as house:
        device = house.enrolled(tmp_path / "door", key="tpm", tpm=tcti)
        other = house.enrolled(tmp_path / "till", "oslo/till")
        tpm = tpm_of(house.site(tmp_path / "door", key="tpm", tpm=tcti).identity)
        said = []
        with httpx.Client(verify=house.context(device), base_url=house.url) as client:

            def present(nonce):
                quote = tpm.quote(b64decode(nonce), [7]).model_dump(mode="json")
                answer = client.post("/api/v1/secrets", json={"quote": quote})
                said.append(answer.status_code)

            with httpx.Client(verify=house.context(other), base_url=house.url) as another:
                present(another.post("/api/v1/nonces").json()["nonce"])
            good = client.post("/api/v1/nonces").json()["nonce"]
            present(good)
            present(good)
            late = client.post("/api/v1/nonces").json()["nonce"]
            house.clock.ahead = timedelta(minutes=3)
            present(late)

    assert said == [403, 200, 403, 403]


def test_without_the_tools_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with House(tmp_path / "house").serving() as house:
        device = house.device(tmp_path / "door", key="tpm")

        with pytest.raises(IdentityError, match="apt-get install tpm2-tools"):
            device.enrol(house.invite())
