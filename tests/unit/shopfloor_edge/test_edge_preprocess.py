import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopfloor_contracts.bundles import Preprocess
from shopfloor_edge.inference.preprocess import Letterbox


def spec(**changes):
    values = {
        "width_px": 64,
        "height_px": 64,
        "layout": "nhwc-uint8",
        "colour": "bgr",
        "letterbox": "top-left",
    }
    return Preprocess(**(values | changes))


def i420(image):
    height, width = image.shape[:2]
    flat = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    luma, chroma = height * width, height * width // 4
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(height // 2, width // 2),
        flat[luma + chroma :].reshape(height // 2, width // 2),
    )


def scene():
    rows, columns = np.mgrid[0:96, 0:128]
    return np.stack([rows * 2, columns, rows + columns], axis=2).astype(np.uint8)


def test_the_frame_lies_at_the_top_left_and_the_rest_is_padding():
    image, placement = Letterbox(spec()).from_i420(i420(scene()))

    assert image.shape == (64, 64, 3)
    assert (image[48:] == 114).all()
    assert (placement.left_px, placement.top_px) == (0, 0)
    assert placement.scale_x == placement.scale_y == 0.5


def test_the_frame_lies_in_the_middle_when_the_manifest_says_so():
    image, placement = Letterbox(spec(letterbox="centre")).from_i420(i420(scene()))

    assert placement.top_px == 8
    assert (image[:8] == 114).all()
    assert (image[56:] == 114).all()


@pytest.mark.parametrize("colour", ["bgr", "rgb"])
def test_planes_and_pictures_take_the_same_way(colour):
    from_planes = Letterbox(spec(colour=colour)).from_i420(i420(scene()))[0]
    from_picture = Letterbox(spec(colour=colour)).from_bgr(scene())[0]

    difference = np.abs(from_planes.astype(int) - from_picture.astype(int))
    assert difference.mean() < 2.0


def test_colour_order_is_swapped_for_rgb():
    blue = np.zeros((32, 32, 3), np.uint8)
    blue[..., 0] = 255

    image = Letterbox(spec(colour="rgb")).from_bgr(blue)[0]

    assert image[10, 10].tolist() == [0, 0, 255]


@given(width=st.integers(16, 700), height=st.integers(16, 700))
def test_boxes_come_back_to_where_they_were(width, height):
    planes = (
        np.zeros((height, width), np.uint8),
        *[np.zeros(((height + 1) // 2, (width + 1) // 2), np.uint8)] * 2,
    )

    _, placement = Letterbox(spec(letterbox="centre")).from_i420(planes)

    corners = np.array([[placement.left_px, placement.top_px] * 2], np.float32)
    np.testing.assert_allclose(placement.to_frame(corners), 0, atol=1e-4)
    far = corners + np.float32([placement.scale_x * width, placement.scale_y * height] * 2)
    np.testing.assert_allclose(placement.to_frame(far)[0, :2], [width, height], rtol=1e-4)


def test_a_stream_may_change_its_size():
    letterbox = Letterbox(spec())
    letterbox.from_i420(i420(scene()))

    image, placement = letterbox.from_i420(i420(cv2.resize(scene(), (64, 64))))

    assert placement.scale_x == 1.0
    assert not (image[60:] == 114).all()
