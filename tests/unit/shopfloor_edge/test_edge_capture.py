"""Which picture belongs to a part: the first after its trigger, the file that is named, or none."""

import time

import cv2
import numpy as np
import pytest

from fakes.cameras import ScriptedOpener
from shopfloor_edge.inspection.arrivals import Trigger, TriggerQueue
from shopfloor_edge.inspection.capture import FolderCamera, FolderWatch, LiveCamera, read_grey

PICTURE = np.full((20, 30), 90, np.uint8)


def live(times):
    camera, seen = LiveCamera(ScriptedOpener(times)), []
    camera.listen(lambda at_s, _picture: seen.append(at_s))
    camera.start()
    deadline_s = time.monotonic() + 5
    while len(seen) < len(times) and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return camera


@pytest.mark.parametrize(
    ("trigger_s", "found"),
    [(10.5, True), (12.0, True), (12.1, False)],
    ids=["between frames", "at a frame", "after the last"],
)
def test_a_part_gets_the_first_frame_after_its_trigger(trigger_s, found):
    camera = live([10.0, 11.0, 12.0])

    picture = camera.take(Trigger(trigger_s), 0.05)
    camera.close()

    assert (picture is not None) is found


def test_a_part_whose_frame_is_forgotten_gets_none_and_not_a_later_one():
    camera = live([float(second) for second in range(10, 40)])

    picture = camera.take(Trigger(12.0), 0.05)
    camera.close()

    assert picture is None


def test_full_range_grey_comes_from_limited_range_luma():
    camera = live([10.0])

    picture = camera.take(Trigger(10.0), 0.05)
    camera.close()

    assert picture is not None
    assert int(picture[0, 0]) == round((128 - 16) * 255 / 219)


def test_a_file_is_waited_for_and_read(tmp_path):
    cv2.imwrite(str(tmp_path / "7.png"), PICTURE)

    found = FolderCamera(tmp_path).take(Trigger(0.0, picture="7.png"), 0.05)
    absent = FolderCamera(tmp_path).take(Trigger(0.0, picture="8.png"), 0.02)

    assert np.array_equal(found, PICTURE)
    assert absent is None


def test_a_trigger_cannot_name_a_file_outside_of_the_folder(tmp_path):
    cv2.imwrite(str(tmp_path / "secret.png"), PICTURE)
    (tmp_path / "pictures").mkdir()

    picture = FolderCamera(tmp_path / "pictures").take(Trigger(0.0, picture="../secret.png"), 0.02)

    assert picture is None


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_picture_is_none(tmp_path, content):
    path = tmp_path / "7.png"
    path.write_bytes(content)

    assert read_grey(path) is None


def test_files_are_parts_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 11):
        cv2.imwrite(str(tmp_path / f"a-{number}.png"), PICTURE)
    queue = TriggerQueue()
    watch = FolderWatch(tmp_path, queue)
    watch.start()

    found = [queue.take(2.0) for _ in range(3)]
    watch.close()

    assert [(trigger.run, trigger.number) for trigger in found] == [("a-", n) for n in (9, 10, 11)]
