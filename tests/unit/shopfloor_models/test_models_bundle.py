import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shopfloor_contracts.bundles import Build, Manifest, Preprocess
from shopfloor_models.bundle import (
    BundleFileError,
    digest_of,
    pack,
    read_manifest,
    unpack,
    verify,
)
from shopfloor_models.golden import Clip, write_clip

WEIGHTS = b"weights" * 100


def manifest(folder: Path, *, version: str = "1") -> Manifest:
    folder.mkdir(exist_ok=True)
    (folder / "net.onnx").write_bytes(WEIGHTS)
    frames = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)
    clip = Clip(frames, np.zeros((2, 300, 6), np.float32))
    golden = write_clip(clip, folder / "golden.npz")
    return Manifest(
        name="tiny",
        version=version,
        task="detect",
        licence="Apache-2.0",
        source="a test",
        classes=["person"],
        head="yolox",
        preprocess=Preprocess(
            width_px=64, height_px=64, layout="nhwc-uint8", colour="bgr", letterbox="top-left"
        ),
        builds=[
            Build(
                target="onnx-fp32",
                file="net.onnx",
                sha256=hashlib.sha256(WEIGHTS).hexdigest(),
                size_bytes=len(WEIGHTS),
            )
        ],
        golden=golden,
    )


def members(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as archive:
        return [(entry, archive.extractfile(entry).read()) for entry in archive]


def rewrite(path: Path, entries: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content))


@pytest.fixture
def bundle(tmp_path) -> Path:
    path = tmp_path / "tiny.bundle"
    pack(manifest(tmp_path / "in"), tmp_path / "in", path)
    return path


def test_the_bundle_made_twice_has_one_digest(tmp_path) -> None:
    digests = [
        pack(manifest(tmp_path / name), tmp_path / name, tmp_path / f"{name}.bundle")
        for name in ("first", "second")
    ]

    assert digests[0] == digests[1]
    assert digests[0] == digest_of(tmp_path / "second.bundle")[0]


def test_the_manifest_comes_first_and_entries_say_nothing_of_their_maker(bundle) -> None:
    entries = [entry for entry, _ in members(bundle)]

    assert [entry.name for entry in entries] == ["manifest.json", "net.onnx", "golden.npz"]
    for entry in entries:
        assert (entry.mode, entry.uid, entry.gid, entry.mtime) == (0o644, 0, 0, 0)
        assert (entry.uname, entry.gname) == ("", "")


def test_what_was_packed_is_unpacked(bundle, tmp_path) -> None:
    found = unpack(bundle, tmp_path / "out")

    assert found == read_manifest(bundle) == verify(bundle)
    assert (tmp_path / "out/net.onnx").read_bytes() == WEIGHTS
    with np.load(tmp_path / "out/golden.npz") as golden:
        assert golden["frames"].shape == (2, 8, 8, 3)
        assert golden["detections"].shape == (2, 300, 6)


Entries = list[tuple[tarfile.TarInfo, bytes]]


def missing(entries: Entries) -> None:
    entries.pop()


def extra(entries: Entries) -> None:
    entry = tarfile.TarInfo("notes.txt")
    entry.mode = 0o644
    entries.append((entry, b""))


def twice(entries: Entries) -> None:
    entries.insert(1, entries[1])


def outside(entries: Entries) -> None:
    entries[1][0].name = "../net.onnx"


def link(entries: Entries) -> None:
    entries[1][0].type, entries[1][0].linkname = tarfile.SYMTYPE, "/etc/passwd"
    entries[1][0].size = 0


def changed(entries: Entries) -> None:
    entries[1] = (entries[1][0], WEIGHTS[::-1])


def longer(entries: Entries) -> None:
    entries[1][0].size += 1
    entries[1] = (entries[1][0], WEIGHTS + b"x")


def executable(entries: Entries) -> None:
    entries[1][0].mode = 0o755


def manifest_later(entries: Entries) -> None:
    entries.reverse()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (missing, "found 'nothing', expected 'golden.npz'"),
        (extra, "'notes.txt' is not in the manifest"),
        (twice, "found 'net.onnx', expected 'golden.npz'"),
        (outside, r"found '../net.onnx', expected 'net.onnx'"),
        (link, "'net.onnx' is no regular file"),
        (changed, "net.onnx: sha256 is [0-9a-f]{64}, manifest says"),
        (longer, "net.onnx has 701 bytes, manifest says 700"),
        (executable, "'net.onnx' has mode 0755, owner 0, time 0, expected 0644"),
        (manifest_later, "begins with 'golden.npz', expected 'manifest.json'"),
    ],
)
def test_a_spoilt_bundle_is_refused_in_one_line(
    bundle: Path, tmp_path: Path, spoil: Callable[[Entries], None], message: str
) -> None:
    entries = members(bundle)
    spoil(entries)
    rewrite(bundle, entries)

    with pytest.raises(BundleFileError, match=message) as caught:
        unpack(bundle, tmp_path / "out")

    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"x" * 2048])
def test_a_file_that_is_no_archive_is_named(tmp_path, content) -> None:
    path = tmp_path / "a.bundle"
    path.write_bytes(content)

    with pytest.raises(BundleFileError, match=r"a\.bundle"):
        verify(path)


def test_a_bundle_cut_short_is_refused(bundle) -> None:
    bundle.write_bytes(bundle.read_bytes()[:2000])

    with pytest.raises(BundleFileError):
        verify(bundle)


def test_a_manifest_against_the_schema_names_the_key(bundle) -> None:
    entries = members(bundle)
    text = entries[0][1].replace(b'"licence"', b'"license"')
    rewrite(bundle, [(entries[0][0], text), *entries[1:]])

    with pytest.raises(BundleFileError, match="unknown key 'license'; did you mean 'licence'"):
        read_manifest(bundle)


def test_a_build_that_is_not_what_the_manifest_says_is_not_packed(tmp_path) -> None:
    promised = manifest(tmp_path / "in")
    (tmp_path / "in/net.onnx").write_bytes(WEIGHTS[::-1])

    with pytest.raises(BundleFileError, match=r"net\.onnx: sha256 is"):
        pack(promised, tmp_path / "in", tmp_path / "a.bundle")

    assert not (tmp_path / "a.bundle").exists()
