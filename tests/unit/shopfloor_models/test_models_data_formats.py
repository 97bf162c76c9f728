import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from shopfloor_models.data.formats import read_coco, read_yolo, slug, write_coco, write_yolo
from shopfloor_models.data.samples import Sample
from shopfloor_models.data.video import extract
from shopfloor_models.errors import DataError

BOXES = np.array([[0.1, 0.2, 0.5, 0.9], [0.3, 0.3, 0.4, 0.6]], np.float32)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((80, 120, 3), np.uint8))
    return Sample(tmp_path / "a.png", BOXES, np.array([1, 0]), "s", "own")


def test_yolo_out_and_in_is_the_same(tmp_path: Path, sample: Sample) -> None:
    write_yolo([sample], tmp_path / "labels")

    labels = read_yolo(tmp_path / "labels" / "a.txt", ["person", "bag"])

    np.testing.assert_allclose(labels.boxes, BOXES, atol=1e-5)
    assert labels.names == ("bag", "person")


def test_coco_out_and_in_is_the_same(tmp_path: Path, sample: Sample) -> None:
    write_coco([sample], ["person", "bag"], tmp_path / "coco.json")

    labels = read_coco(tmp_path / "coco.json")["a.png"]

    np.testing.assert_allclose(labels.boxes, BOXES, atol=1e-3)
    assert labels.names == ("bag", "person")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "no COCO file"),
        (json.dumps({"images": [], "annotations": []}), "categories is missing"),
        (
            json.dumps(
                {
                    "images": [],
                    "categories": [],
                    "annotations": [{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]}],
                }
            ),
            r"annotations\[0\] is of image 1 and category 2",
        ),
    ],
)
def test_a_bad_coco_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "coco.json").write_text(text)

    with pytest.raises(DataError, match=message):
        read_coco(tmp_path / "coco.json")


def test_names_become_slugs() -> None:
    assert slug("My Shop, 2nd floor!") == "my-shop-2nd-floor"


def test_a_video_gives_a_frame_every_so_many_seconds(tmp_path: Path) -> None:
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for number in range(30):
        writer.write(np.full((48, 64, 3), number * 8, np.uint8))
    writer.release()

    written = extract(video, tmp_path / "out", every_s=1.0)

    assert [path.name for path in written] == [
        "clip_00000000.jpg",
        "clip_00001000.jpg",
        "clip_00002000.jpg",
    ]


def test_footage_that_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_text("no video")

    with pytest.raises(DataError, match=r"clip\.mp4 is no video"):
        extract(tmp_path / "clip.mp4", tmp_path / "out", every_s=1.0)


def test_a_folder_without_footage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 videos and 0 pictures"):
        extract(tmp_path, tmp_path / "out", every_s=1.0)
