import re
import socket
import urllib.request
from pathlib import Path

import pytest

from shopfloor_contracts.events import CameraStatus
from shopfloor_edge.errors import MetricsPortError
from shopfloor_edge.vision.metrics import CameraFigures, Fate, VisionMetrics


def figures(**changes):
    values = {
        "camera": "door",
        "status": CameraStatus.LIVE,
        "connects": 1,
        "fallbacks": 0,
        "shed": 0,
        "waiting": 0,
        "gated_ratio": 0.0,
        "frame_age_s": 0.1,
    }
    return CameraFigures(**(values | changes))


@pytest.fixture
def metrics():
    return VisionMetrics(["door"])


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(
        f"shopfloor_vision_{name}", {"camera": "door", **labels}
    )


@pytest.mark.parametrize("fate", list(Fate))
def test_every_fate_is_there_before_it_happens(metrics, fate):
    assert value(metrics, "frames_total", fate=fate) == 0


def test_only_inferred_frames_count_for_the_inference_time(metrics):
    metrics.looked("door", Fate.INFERRED, inference_s=0.03, crossings=2)
    metrics.looked("door", Fate.GATED, inference_s=0.0, crossings=0)

    assert value(metrics, "inference_seconds_count") == 1
    assert value(metrics, "frames_total", fate="gated") == 1
    assert value(metrics, "crossings_total") == 2


def test_running_totals_are_counted_once(metrics):
    metrics.describe([figures(shed=3, connects=1, fallbacks=1)], load_ratio=1.0)
    metrics.describe([figures(shed=5, connects=2, fallbacks=1)], load_ratio=1.0)

    assert value(metrics, "frames_total", fate="shed") == 5
    assert value(metrics, "connects_total") == 2
    assert value(metrics, "decoder_fallbacks_total") == 1


def test_a_lost_camera_is_counted_once_by_its_state(metrics):
    for status in (CameraStatus.LIVE, CameraStatus.STALLED, CameraStatus.STALLED):
        metrics.describe([figures(status=status)], load_ratio=1.0)

    assert value(metrics, "losses_total", status="stalled") == 1
    assert value(metrics, "camera_state", status="stalled") == 1
    assert value(metrics, "camera_state", status="live") == 0


def test_a_scrape_on_loopback_answers(metrics):
    metrics.describe([figures(gated_ratio=0.8, waiting=1)], load_ratio=0.5)
    metrics.latency("door", 0.04)
    server = metrics.serve(0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as reply:
            text = reply.read().decode()
    finally:
        server.close()

    assert 'shopfloor_vision_gated_ratio{camera="door"} 0.8' in text
    assert 'shopfloor_vision_queue_depth{camera="door"} 1.0' in text
    assert 'shopfloor_vision_latency_seconds_bucket{camera="door",le="0.05"} 1.0' in text
    assert "shopfloor_vision_load_ratio 0.5" in text


def test_a_closed_server_frees_its_port(metrics):
    server = metrics.serve(0)
    server.close()

    again = metrics.serve(server.port)

    again.close()


def test_a_taken_port_is_the_operators_to_mend(metrics):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        with pytest.raises(MetricsPortError, match=r"\[metrics\] port"):
            metrics.serve(taken.getsockname()[1])


def test_every_metric_is_documented_and_every_documented_one_exists(metrics):
    page = Path(__file__).resolve().parents[3] / "docs" / "performance.md"
    documented = set(re.findall(r"^\| `(shopfloor_vision_\w+)`", page.read_text(), re.MULTILINE))
    counters = {"counter": "_total"}

    named = {family.name + counters.get(family.type, "") for family in metrics.registry.collect()}

    assert documented == named


def test_a_picture_of_no_use_and_a_flapping_camera_are_shown(metrics):
    metrics.describe([figures(usable=False, flaps=4)], load_ratio=1.0)

    assert value(metrics, "picture_usable") == 0
    assert value(metrics, "flaps") == 4
