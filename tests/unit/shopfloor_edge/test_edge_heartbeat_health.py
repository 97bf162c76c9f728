import numpy as np

from shopfloor_contracts.events import DeviceHealth
from shopfloor_edge.agent.machine import Machine
from shopfloor_edge.discipline import Discipline
from shopfloor_edge.journal.state import StateWriter, read_state
from shopfloor_edge.vision.watch import Totals
from unit.shopfloor_edge.test_edge_uplink_budget import camera


def machine(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 4000 kB\nMemAvailable:    1000 kB\n")
    for number, degrees in enumerate(("41500", "67250", "-274000", "nothing")):
        zone = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(degrees)
    return Machine(tmp_path, tmp_path)


def with_histograms(row, inference, scores):
    return row.__class__(
        **{name: getattr(row, name) for name in row.__slots__}
        | {"inference_histogram": inference, "score_histogram": scores}
    )


def test_memory_the_hottest_part_and_the_clock_are_told(tmp_path):
    health = machine(tmp_path).health([], Discipline(synchronised=True, error_s=0.25))

    assert health.memory_available_bytes == 1000 * 1024
    assert health.temperature_c == 67.25
    assert health.clock_error_s == 0.25
    assert health.disk_free_bytes > 0


def test_a_machine_that_says_nothing_of_itself_is_told_as_unknown(tmp_path):
    health = Machine(tmp_path / "absent", tmp_path).health([], Discipline(False, 3.0))

    assert health == DeviceHealth()


def test_the_histograms_of_all_cameras_are_added_up(tmp_path):
    rows = [
        with_histograms(camera(0), (1,) + (0,) * 8, (0,) * 9 + (5,)),
        with_histograms(camera(0), (2,) + (0,) * 8, (0,) * 9 + (1,)),
        camera(0),
    ]

    health = Machine(tmp_path, tmp_path).health(rows, None)

    assert health.inference_histogram == [3] + [0] * 8
    assert health.score_histogram == [0] * 9 + [6]


def test_a_frame_lands_in_its_buckets_and_comes_through_the_journal(tmp_path):
    totals = Totals()
    totals.inferred(0.012, np.array([0.05, 0.95, 1.0], np.float32))
    row = with_histograms(
        camera(0), tuple(totals.inference_histogram), tuple(totals.score_histogram)
    )
    writer = StateWriter(tmp_path)
    writer.write([row])
    writer.close()

    (read,) = read_state(tmp_path).cameras

    assert read == row
    assert read.inference_histogram == (0, 1) + (0,) * 7
    assert read.score_histogram == (1,) + (0,) * 8 + (2,)
