"""Every backend that can be loaded here behaves alike: what holds for one holds for all.

A backend is a candidate of ``choose.py`` on a bundle that has the build for it. One that is not
here (no library, no accelerator, no file) is skipped and says what it wants.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from shopfloor_contracts.bundles import Build
from shopfloor_edge.errors import BackendUnavailableError, BundleError
from shopfloor_edge.inference.choose import CANDIDATES, precision_of
from shopfloor_edge.inference.motion import MotionBackend
from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.inference.zoo import find_manifest, mirror_folder, resolve, zoo_path

BUNDLES = ("person-nano", "yolox-nano")
MADE = ("person-nano", "litert-int8")
"""Made here while the bundle does not ship it."""
WANTED = ("person",)
FRAMES = (410, 500, 590, 700)
"""Of vtest.avi, from the part that no detector was trained on."""
SURE = 0.4
"""Of the reference: a weaker detection may fall below the threshold in another arithmetic."""


@dataclass(frozen=True)
class Tolerance:
    px: float
    score: float
    share: float
    """Of the reference's detections that must be found again."""


TOLERANCE = {
    "fp32": Tolerance(px=0.5, score=0.005, share=1.0),
    "fp16": Tolerance(px=2.0, score=0.03, share=1.0),
    "int8": Tolerance(px=20.0, score=0.25, share=0.75),
}


@dataclass(frozen=True)
class Loaded:
    """A backend, and with what another of its kind can be made."""

    backend: object
    candidate: object
    manifest: object
    build: object
    path: Path

    def load(self, **changes):
        given = {"manifest": self.manifest, "path": self.path} | changes
        return self.candidate.load(
            given["manifest"], given["path"], wanted=WANTED, threads=1, build=self.build
        )


def cases():
    for bundle in BUNDLES:
        for candidate in CANDIDATES:
            ships = find_manifest(bundle).build_for(candidate.target) is not None
            if not ships and (bundle, candidate.target) != MADE:
                continue
            marks = [pytest.mark.mirror] if bundle == "yolox-nano" or not ships else []
            marks += [pytest.mark.gpu] if candidate.runtime == "tensorrt" else []
            name = f"{bundle}-{candidate.runtime}-{candidate.target}"
            yield pytest.param((bundle, candidate), id=name, marks=marks)


@pytest.fixture(scope="module", params=cases())
def loaded(request, tmp_path_factory):
    bundle, candidate = request.param
    manifest = find_manifest(bundle)
    build = manifest.build_for(candidate.target)
    try:
        if candidate.probe is not None:
            candidate.probe()
        if build is None:
            build, path = make_build(manifest, tmp_path_factory.mktemp("made"))
        else:
            path = resolve(build, download=False)
    except BackendUnavailableError as e:
        pytest.skip(f"wants {e}")
    except BundleError as e:
        pytest.skip(f"wants the weights of {bundle}: {e}")
    backend = candidate.load(manifest, path, wanted=WANTED, threads=1, build=build)
    return Loaded(backend, candidate, manifest, build, path)


def make_build(manifest, folder):
    """Make the integer build of the detector that ships, as the factory does for a customer's."""
    targets = pytest.importorskip("shopfloor_models.export.targets")
    mirror = mirror_folder()
    photos = sorted((mirror / "data/people/images").glob("*.jpg"))[::120] if mirror else []
    if len(photos) < targets.MIN_PICTURES:
        pytest.skip("wants pictures to calibrate on from SHOPFLOOR_MIRROR")
    letterbox = Letterbox(manifest.preprocess)
    pictures = np.stack([letterbox.from_bgr(cv2.imread(str(one)))[0].copy() for one in photos])
    network = onnx.load(resolve(manifest.build_for("onnx-fp32"), download=False))
    path = folder / "made.tflite"
    path.write_bytes(targets.make(MADE[1], targets.Source(network, pictures)).content)
    build = Build(
        target=MADE[1],
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
        layout="nhwc-int8",
    )
    return build, path


def golden(manifest):
    """Return frames and detections of the bundle's golden clip, or None where it has none."""
    if manifest.golden is None:
        return None
    path = zoo_path().with_name("zoo") / manifest.name / manifest.golden.clip
    if not path.is_file() or not zipfile.is_zipfile(path):
        return None
    with np.load(path) as clip:
        return clip["frames"], clip["detections"]


def footage(manifest):
    """Return frames of real CCTV, and what onnxruntime finds there in float."""
    mirror = mirror_folder()
    clip = mirror / "data" / "video" / "vtest.avi" if mirror else Path("/nonexistent")
    if not clip.is_file():
        pytest.skip("wants the bundle's golden clip, or vtest.avi from SHOPFLOOR_MIRROR")
    letterbox, video = Letterbox(manifest.preprocess), cv2.VideoCapture(str(clip))
    frames = []
    for number in FRAMES:
        video.set(cv2.CAP_PROP_POS_FRAMES, number)
        frames.append(letterbox.from_bgr(video.read()[1])[0].copy())
    reference = OnnxBackend(
        manifest, resolve(manifest.build_for("onnx-fp32"), download=False), wanted=WANTED
    )
    return np.stack(frames), reference.infer(np.stack(frames))


def blank(loaded, count=1, value=114):
    spec = loaded.manifest.preprocess
    return np.full((count, spec.height_px, spec.width_px, 3), value, np.uint8)


def noise(loaded, count):
    random = np.random.default_rng(7)
    return random.integers(0, 255, blank(loaded, count).shape, np.uint8)


def test_what_is_found_on_the_golden_frames_is_what_the_reference_finds(loaded):
    frames, expected = golden(loaded.manifest) or footage(loaded.manifest)
    tolerance = TOLERANCE[precision_of(loaded.build)]

    found = loaded.backend.infer(frames)

    matched = [
        any(
            np.abs(row[:4] - box[:4]).max() <= tolerance.px
            and abs(row[4] - box[4]) <= tolerance.score
            and row[5] == box[5]
            for row in rows
        )
        for rows, boxes in zip(found, expected, strict=True)
        for box in boxes[boxes[:, 4] >= SURE]
    ]
    assert len(matched) >= 4
    assert np.mean(matched) >= tolerance.share


def test_nothing_is_found_that_the_reference_does_not_even_suspect(loaded):
    frames, expected = golden(loaded.manifest) or footage(loaded.manifest)
    tolerance = TOLERANCE[precision_of(loaded.build)]

    found = loaded.backend.infer(frames)

    alone = [
        row
        for rows, boxes in zip(found, expected, strict=True)
        for row in rows[rows[:, 4] >= SURE + tolerance.score]
        if np.abs(boxes[boxes[:, 4] > 0][:, :4] - row[:4]).max(axis=1).min() > tolerance.px
    ]
    assert alone == []


def test_detections_are_best_first_and_then_zero(loaded):
    frames, _ = golden(loaded.manifest) or footage(loaded.manifest)

    found = loaded.backend.infer(frames)

    assert found.shape == (len(frames), 300, 6)
    assert found.dtype == np.float32
    scores = found[:, :, 4]
    assert (np.diff(scores, axis=1) <= 1e-6).all()
    assert scores.min() >= 0.0
    assert 0.0 < scores.max() <= 1.0
    assert not found[scores == 0].any()


def test_a_batch_gives_what_its_pictures_give_one_by_one(loaded):
    frames, _ = golden(loaded.manifest) or footage(loaded.manifest)
    frames = np.concatenate([frames[:2], blank(loaded)])

    found = loaded.backend.infer(frames)

    alone = np.concatenate([loaded.backend.infer(frame[None]) for frame in frames])
    np.testing.assert_allclose(found, alone, atol=1e-3)


def test_no_pictures_give_no_rows(loaded):
    assert loaded.backend.infer(blank(loaded, 0)).shape == (0, 300, 6)


@pytest.mark.parametrize("value", [0, 114, 255])
def test_nobody_is_seen_on_an_empty_picture(loaded, value):
    found = loaded.backend.infer(blank(loaded, value=value))

    assert found[..., 4].max() < SURE


def test_a_result_is_not_overwritten_by_the_next_one(loaded):
    frames, _ = golden(loaded.manifest) or footage(loaded.manifest)
    found = loaded.backend.infer(frames[:1])
    kept = found.copy()

    loaded.backend.infer(noise(loaded, 1))

    np.testing.assert_array_equal(found, kept)


def test_the_picture_is_left_as_it_was(loaded):
    given = noise(loaded, 2)
    kept = given.copy()

    loaded.backend.infer(given)

    np.testing.assert_array_equal(given, kept)


def test_a_picture_of_another_size_is_refused(loaded):
    with pytest.raises(ValueError, match="expected uint8"):
        loaded.backend.infer(blank(loaded)[:, :-32])


@pytest.mark.parametrize("content", [b"", b"not a network " * 100, b"\x08\x07" * 50])
def test_a_file_that_is_no_model_is_refused_in_one_line(loaded, tmp_path, content):
    path = tmp_path / "model.bin"
    path.write_bytes(content)

    with pytest.raises(BundleError) as error:
        loaded.load(path=path)

    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_a_file_that_is_cut_off_is_refused(loaded, tmp_path, share):
    content = loaded.path.read_bytes()
    path = tmp_path / "model.bin"
    path.write_bytes(content[: int(share * len(content))])

    with pytest.raises(BundleError, match=r"model\.bin"):
        loaded.load(path=path)


def test_a_file_that_is_not_there_is_refused(loaded, tmp_path):
    with pytest.raises(BundleError, match="No such file"):
        loaded.load(path=tmp_path / "none")


def test_a_model_for_another_picture_is_refused_with_both_sizes(loaded):
    spec = loaded.manifest.preprocess
    other = spec.model_copy(update={"width_px": spec.width_px + 32})
    manifest = loaded.manifest.model_copy(update={"preprocess": other})

    with pytest.raises(BundleError) as error:
        loaded.load(manifest=manifest)

    assert f"{spec.width_px}]" in str(error.value) or f"{spec.width_px}," in str(error.value)
    assert str(spec.width_px + 32) in str(error.value)


def test_a_model_with_other_classes_is_refused(loaded):
    classes = [*loaded.manifest.classes, "unicorn"]
    manifest = loaded.manifest.model_copy(update={"classes": classes})

    with pytest.raises(BundleError, match="output is"):
        loaded.load(manifest=manifest)


def test_motion_has_the_shapes_of_a_backend():
    pictures = np.zeros((3, 288, 384, 3), np.uint8)

    found = MotionBackend().infer(pictures)

    assert found.shape == (3, 300, 6)
    assert found.dtype == np.float32
    assert not found.any()
