"""The compose file: nothing it names is missing, nothing floats, nothing is open to a network."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from shopfloor_stack import compose
from shopfloor_stack.postgresql import SERVICES
from shopfloor_stack.settings import DEFAULT_PORTS, Settings

ROOT = Path(__file__).resolve().parents[3]
TEXT = compose.FILE.read_text()
OURS = {"ingest", "registry", "campaigns"}


def read(text=TEXT, variables=None):
    """Return the file with its variables filled in, as an engine would."""

    def fill(found: re.Match[str]) -> str:
        name, _, default = found.group(1).partition(":")
        return (variables or {}).get(name, default.lstrip("-?") or name)

    return yaml.safe_load(re.sub(r"\$\{([^}]+)\}", fill, text))


@pytest.fixture
def prepared(tmp_path):
    settings = Settings(tmp_path / "cloud", dict(DEFAULT_PORTS), "http://127.0.0.1:9095")
    env = compose.prepare(settings)
    return dict(line.split("=", 1) for line in env.read_text().splitlines())


def complaints(content, root=compose.FILE.parent) -> list[str]:
    """Return what an operator would stumble over; one line each."""
    found = []
    for name, service in content["services"].items():
        image = service["image"]
        if not re.search(r":v?\d+(\.\d+)+(-\w+)?(@sha256:[0-9a-f]{64})?$", image):
            found.append(f"{name}: image {image} is not pinned")
        found += [f"{name}: port {p}" for p in service.get("ports", []) if p[:10] != "127.0.0.1:"]
        found += [
            f"{name}: no {key}"
            for key, wanted in {
                "read_only": True,
                "cap_drop": ["ALL"],
                "security_opt": ["no-new-privileges:true"],
            }.items()
            if service.get(key) != wanted
        ]
        if str(service.get("user", "0")).startswith(("0", "root")) or service.get("privileged"):
            found.append(f"{name}: runs as root")
        if not service.get("healthcheck", {}).get("test"):
            found.append(f"{name}: no healthcheck")
        found += [
            f"{name}: secret {s}" for s in service.get("secrets", []) if s not in secrets(content)
        ]
        found += [
            f"{name}: network {n}" for n in service["networks"] if n not in content["networks"]
        ]
        found += [
            f"{name}: waits for {other}"
            for other in service.get("depends_on", {})
            if other not in content["services"]
        ]
        mounts = service.get("volumes", [])
        found += [
            f"{name}: {m['source']} is missing" for m in mounts if not (root / m["source"]).exists()
        ]
        found += [
            f"{name}: {m['target']} can be written"
            for m in mounts
            if not m.get("read_only") and "/data/" not in m["source"]
        ]
    found += [
        f"secret file {p} is missing" for p in secrets(content).values() if not Path(p).exists()
    ]
    return found


def secrets(content):
    return {name: secret["file"] for name, secret in content["secrets"].items()}


def test_everything_that_the_file_names_exists_once_prepared(prepared):
    assert complaints(read(variables=prepared)) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("prometheus:v2.53.3", "prometheus:latest", "prometheus: image"),
        ('"127.0.0.1:${PORT_GRAFANA:-3000}:3000"', '"3000:3000"', "grafana: port 3000:3000"),
        ("./mosquitto/acl", "./mosquitto/acls", "broker: ./mosquitto/acls is missing"),
        ("secrets: [grafana-admin,", "secrets: [admin,", "grafana: secret admin"),
        ("  cap_drop: [ALL]\n", "", "ingest: no cap_drop"),
        ("networks: [data]", "networks: [dat]", "database: network dat"),
        ("broker: { condition", "brokers: { condition", "ingest: waits for brokers"),
    ],
)
def test_what_would_be_stumbled_over_is_caught(prepared, old, new, said):
    assert old in TEXT

    found = complaints(read(TEXT.replace(old, new), prepared))

    assert any(line.startswith(said) for line in found)


def test_no_secret_is_in_the_environment_or_on_a_command_line(prepared):
    folder = Path(prepared["SHOPFLOOR_CLOUD"]) / "secrets"
    words = [path.read_text() for path in folder.iterdir() if path.suffix != ".pgpass"]

    written = [path for path in (folder.parent / "config").rglob("*") if path.is_file()]
    settings = "".join(path.read_text() for path in written)

    assert words
    assert not any(word in TEXT or word in settings or word in str(prepared) for word in words)


def test_secrets_are_their_owners_alone(prepared):
    folder = Path(prepared["SHOPFLOOR_CLOUD"])
    files = [
        path for part in ("secrets", "pki") for path in (folder / part).iterdir() if path.is_file()
    ]

    assert files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {str(path.stat().st_uid) for path in files} == {prepared["SHOPFLOOR_UID"]}
    assert prepared["SHOPFLOOR_UID"] != "0"


def test_preparing_again_keeps_passwords_and_keys(tmp_path):
    settings = Settings(tmp_path / "cloud", dict(DEFAULT_PORTS), "http://127.0.0.1:9095")
    folder = compose.prepare(settings).parent
    before = {
        p: p.read_bytes()
        for part in ("secrets", "pki")
        for p in (folder / part).rglob("*")
        if p.is_file()
    }

    compose.prepare(settings)

    assert {path: path.read_bytes() for path in before} == before


def test_the_parts_find_each_other_by_the_names_of_their_services(prepared):
    folder = Path(prepared["SHOPFLOOR_CLOUD"]) / "config"
    content = read(variables=prepared)
    prometheus = yaml.safe_load((folder / "prometheus.yml").read_text())

    targets = [
        target
        for job in prometheus["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    ]

    assert {target.split(":")[0] for target in targets} <= set(content["services"])
    rules = content["services"]["prometheus"]["volumes"][1]["target"]
    assert prometheus["rule_files"] == [f"{rules}/*.yml"]


def test_every_service_has_an_account_in_the_database():
    script = (compose.CLOUD / "postgresql" / "init-database.sh").read_text()

    named = re.search(r"^for service in (.+); do$", script, re.MULTILINE)

    assert named is not None
    assert tuple(named.group(1).split()) == SERVICES
    assert set(SERVICES) <= set(read()["services"])


def test_the_image_of_a_service_takes_only_what_it_names():
    recipe = (compose.CLOUD / "Containerfile").read_text()
    allowed = (compose.CLOUD / "Containerfile.dockerignore").read_text().splitlines()

    for source in re.findall(r"^COPY (?!--from)(\S+) ", recipe, re.MULTILINE):
        assert all((ROOT / source.replace("${SERVICE}", ours)).exists() for ours in OURS)
        assert f"!{source.split('/')[0]}" in allowed
    assert allowed[0] == "*"
    assert re.search(r"^USER (?!0|root)", recipe, re.MULTILINE)
    assert {n for n, s in read()["services"].items() if "build" in s} == OURS


def has_compose() -> bool:
    engine = shutil.which("docker")
    probe = [engine or "docker", "compose", "version"]
    if engine is None:
        return False
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not has_compose(), reason="wants docker with compose, to read the file")
def test_docker_compose_reads_the_file(prepared):
    env = Path(prepared["SHOPFLOOR_CLOUD"]) / "compose.env"

    checked = subprocess.run(
        ["docker", "compose", "--env-file", str(env), "-f", str(compose.FILE), "config", "-q"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
