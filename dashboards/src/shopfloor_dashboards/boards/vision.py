"""One device's vision process, where its loopback port is scraped by a Prometheus beside it."""

from __future__ import annotations

from shopfloor_dashboards.panels import Board, Limits, lines, number

_V = "shopfloor_vision_"
_IS = '{camera=~"$camera"}'
_RATE = _IS + "[$__rate_interval]"


def _quantile(share: float, histogram: str) -> str:
    series = f"rate({_V}{histogram}_bucket{_RATE})"
    return f"histogram_quantile({share}, sum by (camera, le) ({series}))"


BOARD = Board(
    "shopfloor-vision",
    "Shopfloor: vision on a device",
    (
        number(
            "Does the device keep up?",
            f"min({_V}load_ratio)",
            "percentunit",
            Limits(0.99, 0.7, falling=True),
            explanation="Share of due frames that are looked at.",
        ),
        number(
            "Does it run as wanted?",
            f"max({_V}degraded)",
            "short",
            Limits(1, 1),
            explanation="1: another than the wanted model or runtime has to do.",
        ),
        number(
            "What runs the model?",
            f"{_V}backend",
            "short",
            Limits(2, 3),
            legend="{{backend}} {{precision}}",
        ),
        number(
            "How many cameras are live?",
            f'sum({_V}camera_state{{camera=~"$camera",status="live"}})',
            "short",
            Limits(1, 0.5, falling=True),
            runbook="CamerasLost",
        ),
        lines(
            "What becomes of the frames?",
            {"{{fate}}": f"sum by (fate) (rate({_V}frames_total{_RATE}))"},
            "ops",
            Limits(500, 1000),
        ),
        lines(
            "How long does the model take?",
            {"{{camera}}": _quantile(0.99, "inference_seconds")},
            "s",
            Limits(0.1, 0.25),
            explanation="99 of 100 frames take less.",
        ),
        lines(
            "How old is a frame when it is counted?",
            {"{{camera}}": _quantile(0.99, "latency_seconds")},
            "s",
            Limits(0.5, 1),
            explanation="99 of 100 frames are younger.",
        ),
        lines(
            "Which cameras give no frames?",
            {"{{camera}}": f"{_V}frame_age_seconds{_IS}"},
            "s",
            Limits(2, 10),
            runbook="CamerasLost",
        ),
        lines(
            "Which cameras are lost again and again?",
            {
                "{{camera}} opened": f"increase({_V}connects_total{_IS}[1h])",
                "{{camera}} {{status}}": f"increase({_V}losses_total{_IS}[1h])",
                "{{camera}} slower decoder": f"increase({_V}decoder_fallbacks_total{_IS}[1h])",
                "{{camera}} flaps": f"{_V}flaps{_IS}",
            },
            "short",
            Limits(3, 10),
            runbook="CamerasLost",
            explanation="Per hour.",
        ),
        lines(
            "Which pictures are of no use?",
            {"{{camera}}": f"1 - {_V}picture_usable{_IS}"},
            "short",
            Limits(0.5, 1),
            explanation="1: covered, out of focus, black, frozen or moved. Nothing is counted.",
        ),
        lines(
            "How much work does the motion gate save?",
            {"{{camera}}": f"{_V}gated_ratio{_IS}"},
            "percentunit",
            Limits(1.1, 1.2),
        ),
        lines(
            "Is anything counted?",
            {"{{camera}}": f"rate({_V}crossings_total{_RATE})"},
            "ops",
            Limits(10, 100),
        ),
        lines(
            "Do frames wait for the model?",
            {"{{camera}}": f"{_V}queue_depth{_IS}"},
            "short",
            Limits(1, 2),
        ),
    ),
    {"camera": f"label_values({_V}camera_state, camera)"},
)
