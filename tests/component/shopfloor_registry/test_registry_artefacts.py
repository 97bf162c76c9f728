"""Both artefact stores keep the same promises; the bucket is one of a server that speaks S3."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from shopfloor_registry.adapters.artefacts import LocalArtefacts
from shopfloor_registry.adapters.s3 import Bucket, S3Artefacts
from shopfloor_registry.errors import ArtefactError

PEER = Path(__file__).parents[3] / "var/bench/moto"
CONTENT = os.urandom(20_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def s3_server():
    if not (PEER / "moto").is_dir():
        pytest.skip("wants moto's S3 server: pip install --target var/bench/moto 'moto[server]'")
    pytest.importorskip("obstore", reason="wants the extra shopfloor-registry[s3]")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "moto.server", "-p", str(port)],
        env=os.environ | {"PYTHONPATH": str(PEER)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
    while True:
        try:
            assert httpx.put(f"{url}/models", timeout=10).status_code == 200
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path, monkeypatch):
    if request.param == "folder":
        return LocalArtefacts(tmp_path / "artefacts")
    url = request.getfixturevalue("s3_server")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return S3Artefacts(Bucket("models", f"{tmp_path.name}/", url, "us-east-1"), tmp_path)


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    return file


def test_what_was_put_is_given_back(store, file):
    store.put(file, DIGEST)
    store.put(file, DIGEST)

    with store.opened(DIGEST) as found:
        assert found.read_bytes() == CONTENT


def test_what_was_not_put_is_not_there(store):
    with pytest.raises(ArtefactError, match="artefact " + DIGEST), store.opened(DIGEST):
        pass


def test_a_full_disk_leaves_nothing_half_written(tmp_path, file):
    (tmp_path / "artefacts").write_text("no folder")

    with pytest.raises(ArtefactError):
        LocalArtefacts(tmp_path / "artefacts").put(file, DIGEST)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["artefacts", "file"]


def test_a_bucket_that_holds_other_bytes_is_not_believed(tmp_path, file, s3_server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    store = S3Artefacts(Bucket("models", "changed/", s3_server, "us-east-1"), tmp_path)
    file.write_bytes(b"other")
    store.put(file, DIGEST)

    with pytest.raises(ArtefactError, match="the bucket holds"), store.opened(DIGEST):
        pass
