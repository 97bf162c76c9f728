"""Bundles as the factory packs them are read and cut; anything else is refused."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.bundles import FILES, make_manifest, pack, sha256
from shopfloor_contracts.archives import read_archive, slice_archive, verify_archive
from shopfloor_contracts.bundles import Build
from shopfloor_contracts.errors import ArchiveError
from shopfloor_models import bundle


@pytest.fixture
def packed(tmp_path):
    return pack(tmp_path)


def test_a_packed_bundle_is_verified(packed):
    archive = verify_archive(packed)

    assert archive.manifest == make_manifest()
    assert [entry.file for entry in archive.entries] == list(FILES)
    assert b"".join(archive.chunks(archive.entries[1])) == FILES["b.tflite"]


@pytest.mark.parametrize("target", ["onnx-fp32", "litert-int8"])
def test_a_slice_is_what_the_factory_would_pack_for_one_target(packed, tmp_path, target):
    out, theirs = tmp_path / "slice.tar", tmp_path / "theirs.tar"
    manifest = make_manifest()
    one = manifest.model_copy(update={"builds": [manifest.build_for(target)]})
    bundle.pack(one, tmp_path, theirs)

    digest = slice_archive(read_archive(packed), target, out)

    assert out.read_bytes() == theirs.read_bytes()
    assert digest == sha256(out.read_bytes())
    assert bundle.verify(out) == verify_archive(out).manifest == one


def test_a_target_without_a_build_is_named(packed, tmp_path):
    with pytest.raises(ArchiveError, match="no build for 'coral', only for onnx-fp32, litert-int8"):
        slice_archive(read_archive(packed), "coral", tmp_path / "out.tar")


def test_names_beyond_a_header_are_read(tmp_path):
    name = "x" * 120
    (tmp_path / name).write_bytes(b"long")
    long = Build(target="onnx-fp32", file=name, sha256=sha256(b"long"), size_bytes=4)
    packed = pack(tmp_path, builds=[long])

    assert verify_archive(packed).entries[0].file == name


def test_other_content_of_the_same_size_is_found(packed):
    content = packed.read_bytes()
    packed.write_bytes(content.replace(b"int8int8", b"int8int9", 1))

    read_archive(packed)
    with pytest.raises(ArchiveError, match=r"'b.tflite': sha256 is"):
        verify_archive(packed)


def rewritten(packed, change):
    """Write the archive again, each header as ``change`` makes it."""
    with tarfile.open(packed) as archive:
        entries = [(entry, archive.extractfile(entry).read()) for entry in archive]
    with tarfile.open(packed, "w", format=tarfile.GNU_FORMAT) as archive:
        for entry, content in entries:
            change(entry)
            archive.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../etc/passwd"},
        {"name": "/etc/passwd"},
        {"mode": 0o4755},
        {"uid": 1000},
        {"mtime": 1},
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.CHRTYPE},
        {"type": tarfile.GNUTYPE_SPARSE},
    ],
)
def test_an_entry_of_another_form_is_refused(packed, change):
    def apply(entry):
        if entry.name == "a.onnx":
            for key, value in change.items():
                setattr(entry, key, value)

    rewritten(packed, apply)

    with pytest.raises(ArchiveError, match=r"no entry 'a.onnx'|expected the end"):
        verify_archive(packed)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "does not begin as a bundle"),
        (b"PK\x03\x04" * 1000, "does not begin as a bundle"),
        (b"\x1f\x8b" + b"\0" * 2000, "does not begin as a bundle"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path, content, complaint):
    (tmp_path / "x.tar").write_bytes(content)

    with pytest.raises(ArchiveError, match=complaint):
        read_archive(tmp_path / "x.tar")


def header(name, size, **changes):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    for key, value in changes.items():
        setattr(entry, key, value)
    return entry.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (header("manifest.json", 1 << 40), "at most 1 MiB|does not begin"),
        (header("manifest.json", 2 << 20), "at most 1 MiB"),
        (header("manifest.json", 5, type=tarfile.GNUTYPE_LONGNAME), "does not begin"),
        (header("manifest.json", 1 << 33, type=tarfile.XHDTYPE), "does not begin"),
        (
            header("manifest.json", 2) + b"{}".ljust(512, b"\0"),
            "name is missing|expected zeros|manifest.json",
        ),
        (header("manifest.json", 2) + b"\xff\xff".ljust(512, b"\0"), "not UTF-8"),
        (header("manifest.json", 20_000) + b"[" * 20_000, "manifest.json"),
    ],
)
def test_a_hostile_beginning_is_refused(tmp_path, content, complaint):
    (tmp_path / "x.tar").write_bytes(content)

    with pytest.raises(ArchiveError, match=complaint):
        read_archive(tmp_path / "x.tar")


def test_what_follows_the_end_is_refused(packed):
    with packed.open("ab") as file:
        file.write(b"more")

    with pytest.raises(ArchiveError, match="expected the end"):
        read_archive(packed)


def test_a_name_twice_is_refused(tmp_path):
    packed = pack(tmp_path)
    manifest = make_manifest()
    twice = manifest.builds[0].model_copy(update={"target": "other"})
    text = manifest.model_copy(update={"builds": [*manifest.builds, twice]}).model_dump_json()
    content = header("manifest.json", len(text)) + text.encode() + b"\0" * (-len(text) % 512)
    packed.write_bytes(content)

    with pytest.raises(ArchiveError, match=r"names 'a.onnx' twice"):
        read_archive(packed)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 12_000), value=st.integers(0, 255))
def test_no_changed_byte_is_overlooked(packed, at, value):
    content = bytearray(packed.read_bytes())
    at %= len(content)
    before, content[at] = content[at], value
    changed = packed.with_name("changed.tar")
    changed.write_bytes(content)
    whole = verify_archive(packed)

    try:
        found = verify_archive(changed)
    except ArchiveError:
        assert before != value
    else:
        # Another text of the manifest may be as valid; a blank of it may be another blank.
        assert before == value or found.manifest != whole.manifest or chr(before).isspace()
