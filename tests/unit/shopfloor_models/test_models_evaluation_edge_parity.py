"""Training and serving see one picture alike: our decoder against the device's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopfloor_edge.inference.onnx import OnnxBackend
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_edge.inference.zoo import find_manifest, mirror_folder, resolve
from shopfloor_models.evaluation.coco import read_labelled
from shopfloor_models.evaluation.predict import BuildPredictor, Network


@pytest.mark.mirror
def test_a_picture_gives_the_boxes_that_a_device_finds():
    mirror = mirror_folder()
    if mirror is None or not (mirror / "data" / "coco128").is_dir():
        pytest.skip("wants COCO128 and yolox_nano.onnx from SHOPFLOOR_MIRROR")
    manifest = find_manifest("yolox-nano")
    path = resolve(manifest.builds[0], download=False)
    pixels = _picture(mirror)
    backend = OnnxBackend(manifest, path, wanted=tuple(manifest.classes))
    image, placement = Letterbox(manifest.preprocess).from_bgr(pixels)

    device = backend.infer(image[None])[0]
    ours = BuildPredictor(path, Network.of(manifest, manifest.score_min)).predict([pixels])[0]

    device = device[device[:, 4] > 0]
    device[:, :4] = placement.to_frame(device[:, :4])
    np.testing.assert_allclose(ours, device, atol=1e-3)


def _picture(mirror: Path) -> np.ndarray:
    folder = mirror / "data" / "coco128"
    return read_labelled(folder / "images/val2017", folder / "labels/val2017")[0].pixels
