import cv2
import numpy as np
import pytest

from shopfloor_contracts.bundles import Preprocess
from shopfloor_edge.inference.preprocess import Letterbox
from shopfloor_models.errors import DataError
from shopfloor_models.export.letterbox import letterbox, load_stills


def spec(place: str = "top-left", colour: str = "bgr") -> Preprocess:
    return Preprocess(
        width_px=352, height_px=256, layout="nhwc-uint8", colour=colour, letterbox=place
    )


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(768, 576), (333, 500), (97, 31), (352, 256), (1, 1)])
@pytest.mark.parametrize("place", ["top-left", "centre"])
@pytest.mark.parametrize("colour", ["bgr", "rgb"])
def test_calibration_and_device_see_the_same_pixels(size, place, colour) -> None:
    image, boxes = picture(*size), np.array([[10.0, 20.0, 30.0, 40.0]], np.float32)

    ours = letterbox(image, spec(place, colour))

    theirs, placement = Letterbox(spec(place, colour)).from_bgr(image)
    np.testing.assert_array_equal(ours.pixels, theirs)
    np.testing.assert_allclose(ours.to_picture(boxes), placement.to_frame(boxes), rtol=1e-5)


def test_pictures_of_any_size_are_stacked(tmp_path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    cv2.imwrite(str(paths[0]), picture(40, 30))
    cv2.imwrite(str(paths[1]), picture(30, 40))

    assert load_stills(paths, spec()).shape == (2, 256, 352, 3)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_file_that_is_no_picture_is_named(tmp_path, content) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"a\.jpg is no picture"):
        load_stills([path], spec())


def test_no_pictures_are_an_error() -> None:
    with pytest.raises(DataError, match="0 pictures"):
        load_stills([], spec())
