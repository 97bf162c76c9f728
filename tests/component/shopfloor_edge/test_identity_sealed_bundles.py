"""Models at rest, sealed to the device: whole, bound to their place, and run out of memory."""

import hashlib
import subprocess
import sys

import pytest

from fakes.ota import bundle, light_model
from shopfloor_contracts.device_identity import IdentitySpec
from shopfloor_contracts.site import SiteFile
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.agent.updater.selftest import self_test
from shopfloor_edge.errors import BundleError
from shopfloor_edge.identity.marks import MAGIC
from shopfloor_edge.slots.domain import Release
from shopfloor_edge.slots.sealed import Seals
from shopfloor_edge.slots.store import Store
from shopfloor_edge.vision.release import Releases

MODEL = light_model()
ARCHIVE = bundle(MODEL)
DIGEST = hashlib.sha256(ARCHIVE).hexdigest()


def spec(folder, **more):
    return IdentitySpec(folder=str(folder), encrypt_at_rest=True, **more)


def filled(tmp_path, seals=None):
    store = Store(tmp_path / "updates", seals or Seals(spec(tmp_path / "identity")))
    store.prepare()
    part = store.partial / "part"
    part.write_bytes(ARCHIVE)
    store.take(part, DIGEST, UpdateKind.MODEL)
    store.unpack(DIGEST, UpdateKind.MODEL)
    return store


def plain_files(folder):
    """Return what holds the model, or a piece of it, in the clear."""
    needle = MODEL[len(MODEL) // 2 :][:64]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if needle in path.read_bytes()]


def test_no_file_of_a_sealed_store_holds_the_model_and_it_opens_as_it_was(tmp_path):
    store = filled(tmp_path)

    with store.opened(DIGEST) as folder, store.opened_archive(DIGEST) as archive:
        opened = (folder / "light.onnx").read_bytes()
        whole = archive.read_bytes()
        assert "manifest" in " ".join(path.name for path in folder.iterdir())

    assert (opened, whole) == (MODEL, ARCHIVE)
    assert plain_files(tmp_path) == []
    assert not folder.exists()


def test_a_sealed_bundle_passes_its_golden_clip_in_a_child_and_is_loaded_by_vision(tmp_path):
    seals = Seals(spec(tmp_path / "identity"))
    store = filled(tmp_path, seals)
    camera = {"name": "door", "uri": "x.avi"}
    site = SiteFile.model_validate({"site": "s1", "device": "d1", "cameras": [camera]})
    release = Release(UpdateKind.MODEL, DIGEST, len(ARCHIVE), "model/m/1/t", "m", "1")

    with store.opened(DIGEST) as folder:
        test = self_test(folder, ["--threads", "1"])
    loaded = Releases(tmp_path, seals).load(release, site)

    assert (test.passed, test.detail) == (True, test.detail)
    assert loaded.chosen.model_digest == hashlib.sha256(MODEL).hexdigest()
    assert plain_files(tmp_path) == []


def test_another_device_s_bundle_does_not_open(tmp_path):
    filled(tmp_path)
    other = Store(tmp_path / "updates", Seals(spec(tmp_path / "other")))

    with pytest.raises(BundleError, match="sealed to another device"), other.opened(DIGEST):
        pass
    with (
        pytest.raises(BundleError, match=r"no \[identity\] folder"),
        Store(tmp_path / "updates").opened(DIGEST),
    ):
        pass


@pytest.mark.parametrize("at", [len(MAGIC), 60, -1])
def test_a_changed_byte_does_not_open(tmp_path, at):
    store = filled(tmp_path)
    path = store.unpacked(DIGEST) / "light.onnx"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)

    with pytest.raises(BundleError, match="does not open"), store.opened(DIGEST):
        pass


def test_a_sealed_file_cannot_stand_in_for_another(tmp_path):
    store = filled(tmp_path)
    folder = store.unpacked(DIGEST)
    (folder / "light.onnx").write_bytes((folder / "golden.npz").read_bytes())

    with pytest.raises(BundleError, match="does not open"), store.opened(DIGEST):
        pass


def test_what_came_before_the_setting_is_sealed_at_the_next_start(tmp_path):
    filled(tmp_path, Seals())
    assert len(plain_files(tmp_path)) == 2

    store = Store(tmp_path / "updates", Seals(spec(tmp_path / "identity")))
    store.prepare()

    assert plain_files(tmp_path) == []
    with store.opened(DIGEST) as folder:
        assert (folder / "light.onnx").read_bytes() == MODEL


def test_a_site_file_stays_readable(tmp_path):
    store = filled(tmp_path)
    part = store.partial / "part"
    part.write_bytes(b'site = "s1"')

    store.take(part, "c" * 64, UpdateKind.CONFIG)

    assert store.site_file("c" * 64).read_text() == 'site = "s1"'


CHILD = """
import os, sys
from pathlib import Path
import shopfloor_edge.identity.pairs
from shopfloor_contracts.device_identity import IdentitySpec
from shopfloor_contracts.targets import UpdateKind
from shopfloor_edge.slots.sealed import Seals
from shopfloor_edge.slots.store import Store
base, digest, source = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
def bring(root, left):
    def hook(event, args):
        nonlocal left
        if event in ("os.rename", "os.mkdir", "os.remove", "open") and str(root) in str(args):
            left -= 1
            if left == 0:
                os._exit(9)
    identity = IdentitySpec(folder=str(root / "identity"), encrypt_at_rest=True)
    store = Store(root / "updates", Seals(identity))
    sys.addaudithook(hook)
    store.prepare()
    part = store.partial / "part"
    if not store.archive(digest).exists():
        store.take(part, digest, UpdateKind.MODEL)
    store.unpack(digest, UpdateKind.MODEL)
    os._exit(0)
def run(root, left):
    child = os.fork()
    if child == 0:
        bring(root, left)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
for step in range(1, 200, 2):
    root = base / str(step)
    store = Store(root / "updates")
    store.prepare()
    (store.partial / "part").write_bytes(source.read_bytes())
    first = run(root, step)
    print(first, run(root, -1), flush=True)
    if first == 0:
        break
"""


def test_a_kill_at_any_step_leaves_nothing_half_and_the_next_run_ends_it(tmp_path):
    (tmp_path / "archive").write_bytes(ARCHIVE)
    base = tmp_path / "runs"
    argv = [sys.executable, "-c", CHILD, str(base), DIGEST, str(tmp_path / "archive")]

    done = subprocess.run(argv, check=True, capture_output=True, text=True)

    codes = [line.split() for line in done.stdout.splitlines()]
    assert [first for first, _ in codes] == ["9"] * (len(codes) - 1) + ["0"]
    assert {second for _, second in codes} == {"0"}
    assert len(codes) > 8
    for root in base.iterdir():
        store = Store(root / "updates", Seals(spec(root / "identity")))
        with store.opened(DIGEST) as folder:
            assert (folder / "light.onnx").read_bytes() == MODEL
        store.keep_only([DIGEST])
        assert plain_files(root) == []
