from pathlib import Path

import cv2
import numpy as np
import pytest

from shopfloor_models.data.dataset import load_dataset
from shopfloor_models.data.problems import Severity
from shopfloor_models.data.quality import check, refuse
from shopfloor_models.data.scan import Scan, scan_dataset
from shopfloor_models.errors import DataError

HEAD = 'name = "shop"\nversion = "1"\nclasses = ["person", "bag"]\n'
SOURCE = """
[[sources]]
name = "aisle"
images = "images"
labels = "labels"
licence_class = "own"
"""


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    small = random.integers(0, 255, (12, 12, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(small, (96, 96)))


def fill(folder: Path, names: list[str], label: str = "0 .5 .5 .4 .6\n1 .3 .3 .2 .2\n") -> None:
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        picture(folder / "images" / f"{name}.png", number)
        (folder / "labels" / f"{name}.txt").write_text(label)


def scanned(folder: Path, text: str) -> Scan:
    path = folder / "my.toml"
    path.write_text(text)
    return scan_dataset(load_dataset(path), folder)


def lines(scan: Scan) -> list[str]:
    return [problem.line() for problem in check(scan)]


def test_an_unknown_key_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(HEAD + SOURCE + 'licens_class = "x"\n')

    with pytest.raises(DataError, match=r"licens_class'; did you mean 'licence_class'"):
        load_dataset(path)


def test_a_dataset_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.toml: No such file"):
        load_dataset(tmp_path / "none.toml")


def test_a_scene_that_is_no_regular_expression_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(HEAD + SOURCE + 'scene = "("\n')

    with pytest.raises(DataError, match="no regular expression"):
        load_dataset(path)


def test_frames_of_one_scene_share_a_split(tmp_path: Path) -> None:
    fill(tmp_path, [f"cam{number % 5}_{number:03d}" for number in range(25)])

    scan = scanned(tmp_path, HEAD + SOURCE + 'scene = "^(cam[0-9])_"\n')

    splits = {(item.scene, item.split) for item in scan.items}
    assert len(splits) == 5
    assert [split for _, split in splits].count("val") == 1


def test_a_source_without_scenes_stays_whole(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b", "c"])

    scan = scanned(tmp_path, HEAD + SOURCE)

    assert {item.split for item in scan.items} == {"train"}
    assert any("0 pictures to validate" in line for line in lines(scan))


def test_validation_scenes_can_be_chosen(tmp_path: Path) -> None:
    fill(tmp_path, ["cam1_1", "cam2_1", "cam3_1"])

    scan = scanned(
        tmp_path, 'val_scenes = ["aisle/cam2"]\n' + HEAD + SOURCE + 'scene = "^(cam[0-9])_"\n'
    )

    assert [s.image.stem for s in scan.samples("val")] == ["cam2_1"]


def test_the_digest_follows_pictures_and_labels(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b"])
    before = scanned(tmp_path, HEAD + SOURCE).data_sha256()

    again = scanned(tmp_path, HEAD + SOURCE).data_sha256()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .4 .5\n")
    after = scanned(tmp_path, HEAD + SOURCE).data_sha256()

    assert before == again != after


def test_an_excluded_licence_leaves_its_source_out(tmp_path: Path) -> None:
    fill(tmp_path, ["a"])

    with pytest.raises(DataError, match="every source is excluded"):
        scanned(tmp_path, 'exclude_licences = ["own"]\n' + HEAD + SOURCE)


def test_a_licence_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, ["a"])

    with pytest.raises(DataError, match="licence 'own' is not allowed, expected one of cc-by"):
        scanned(tmp_path, 'allowed_licences = ["cc-by"]\n' + HEAD + SOURCE)


def test_no_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()

    with pytest.raises(DataError, match="0 pictures"):
        scanned(tmp_path, HEAD + SOURCE)


def test_missing_labels_are_an_error_unless_they_mean_nothing_is_there(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b"])
    (tmp_path / "labels" / "b.txt").unlink()

    refused = scanned(tmp_path, HEAD + SOURCE)
    taken = scanned(tmp_path, HEAD + SOURCE + 'unlabelled = "empty"\n')

    with pytest.raises(DataError, match=r"aisle/b\.png: no labels in"):
        refuse(check(refused), "shop")
    assert [len(sample.boxes) for sample in taken.samples("train")] == [2, 0]


def test_a_class_that_is_not_in_the_list_is_named(tmp_path: Path) -> None:
    fill(tmp_path, ["a"], "2 .5 .5 .4 .6\n")

    found = lines(scanned(tmp_path, HEAD + SOURCE))

    assert any("class 2, expected 0 to 1" in line for line in found)


def test_classes_of_others_can_be_dropped_by_name(tmp_path: Path) -> None:
    fill(tmp_path, ["a"], "0 .5 .5 .4 .6\n1 .5 .5 .4 .6\n")
    source = SOURCE + 'names = ["dog", "person"]\n'

    dropped = scanned(tmp_path, HEAD + source + 'other_classes = "drop"\n')
    refused = lines(scanned(tmp_path, HEAD + source))

    assert dropped.items[0].sample.classes.tolist() == [0]
    assert any("class 'dog' of a.png is not in the list" in line for line in refused)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b"])
    (tmp_path / "images" / "b.png").write_text("no picture")

    found = lines(scanned(tmp_path, HEAD + SOURCE))

    assert "error: picture: aisle/b.png: no picture that can be read" in found


def test_a_box_outside_is_named(tmp_path: Path) -> None:
    fill(tmp_path, ["a"], "0 .9 .5 .4 .6\n")

    assert any("leaves the picture" in line for line in lines(scanned(tmp_path, HEAD + SOURCE)))


def test_a_tiny_box_is_a_warning(tmp_path: Path) -> None:
    fill(tmp_path, ["a"], "0 .5 .5 .01 .5\n")

    found = lines(scanned(tmp_path, HEAD + SOURCE))

    assert "warning: boxes: aisle/a.png: box 0 is 1.0 x 48.0 px, the limit is 3" in found


def test_a_class_without_boxes_is_an_error_and_a_rare_one_a_warning(tmp_path: Path) -> None:
    fill(tmp_path, ["a"], "0 .5 .5 .4 .6\n")

    found = lines(scanned(tmp_path, HEAD + SOURCE))

    assert "error: classes: shop: class 'bag' has no box in the training split" in found
    assert "warning: classes: shop: class 'person' has 1 boxes, expected 10" in found


def test_the_same_picture_in_both_splits_is_leakage(tmp_path: Path) -> None:
    fill(tmp_path, ["cam1_1", "cam2_1", "cam2_2"])
    copied = (tmp_path / "images" / "cam1_1.png").read_bytes()
    (tmp_path / "images" / "cam2_1.png").write_bytes(copied)
    text = 'val_scenes = ["aisle/cam2"]\n' + HEAD + SOURCE + 'scene = "^(cam[0-9])_"\n'

    problems = check(scanned(tmp_path, text))

    leaks = [problem for problem in problems if problem.gate == "leakage"]
    assert [leak.severity for leak in leaks] == [Severity.ERROR]
    assert leaks[0].message == "the same as aisle/cam1_1.png, val against train"


def test_a_near_duplicate_in_one_split_is_a_warning(tmp_path: Path) -> None:
    fill(tmp_path, ["a", "b"])
    image = cv2.imread(str(tmp_path / "images" / "a.png"))
    cv2.imwrite(str(tmp_path / "images" / "b.png"), cv2.convertScaleAbs(image, alpha=0.9))

    found = lines(scanned(tmp_path, HEAD + SOURCE))

    assert "warning: duplicates: aisle/b.png: nearly the same as aisle/a.png" in found
