"""The evaluation as one HTML file: charts, tables and the worst examples, people pixelated."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from shopfloor_models.evaluation.charts import Axes, Point, Series, bubbles, curves, round_up
from shopfloor_models.evaluation.coco import SIZES, Accuracy, Labelled
from shopfloor_models.evaluation.parity import IOU_MIN, SCORE_MIN, Agreement, iou_matrix
from shopfloor_models.evaluation.predict import Floats
from shopfloor_models.evaluation.robustness import Curve
from shopfloor_models.evaluation.speed import Speed
from shopfloor_models.export.letterbox import Pixels

PERSON = 0
BLOCKS = 6
"""A person is shown as so many blocks across: a shape and no face."""
_STYLE = """
:root{color-scheme:light}body{margin:0;background:#f4f5f2;color:#1d2422;
font:15px/1.5 system-ui,sans-serif}main{max-width:1120px;margin:auto;padding:32px 24px}
h1{font-size:28px;margin:0}h2{font-size:18px;margin:36px 0 10px}p{color:#56605c;margin:4px 0}
.two{display:grid;grid-template-columns:1fr 1fr;gap:20px}section,.card{background:#fff;
border:1px solid #dfe3de;border-radius:8px;padding:16px}figure{margin:0}
table{border-collapse:collapse;width:100%;background:#fff;border:1px solid #dfe3de}
th,td{padding:7px 12px;text-align:right;border-bottom:1px solid #edf0ec;
font-variant-numeric:tabular-nums}th:first-child,td:first-child{text-align:left}
th{background:#eef1ec;font-weight:600}svg{width:100%;height:auto}svg text{font-size:12px;
fill:#56605c}svg .axis{fill:#1d2422}svg .name{fill:#1d2422;font-weight:600}
.grid{stroke:#e4e8e3}.line{fill:none;stroke-width:2}.front{fill:none;stroke:#9aa39e;
stroke-dasharray:5 4}circle{fill-opacity:.85}.legend{display:flex;flex-wrap:wrap;gap:4px 16px;
font-size:13px}.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;
margin-right:6px}.worst{display:grid;grid-template-columns:repeat(3,1fr);gap:16px}
.worst img{width:100%;height:220px;object-fit:contain;background:#1d2422;border-radius:6px}
.worst figcaption{font-size:13px;color:#56605c}
@media(max-width:760px){.two,.worst{grid-template-columns:1fr}}
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One build and all that is known of it."""

    name: str
    size_bytes: int
    accuracy: Accuracy
    speed: Speed
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Example:
    """A picture with true boxes, found boxes and how many do not match."""

    picture: Labelled
    found: Floats
    """``(K, 6)`` above ``SCORE_MIN``."""
    people: Floats
    """``(P, 4)``: everyone, labelled or found with any score; better one block too many."""
    missed: int
    false: int


def render(
    title: str,
    builds: Sequence[Measured],
    *,
    classes: Sequence[str],
    robustness: Sequence[Curve],
    examples: Sequence[Example],
) -> str:
    """Return the report's HTML; ``classes`` names class numbers."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><main><h1>{escape(title)}</h1>"
        "<p>Accuracy is COCO's average precision; latency is on one thread of this machine, "
        "its ratio to fp32 in the same run.</p>"
        f"<h2>Builds</h2>{_builds(builds)}"
        f'<div class="two"><div><h2>Latency, accuracy and size</h2>{_card(_trade(builds))}</div>'
        f"<div><h2>Precision over recall at IoU .5</h2>{_card(_precision(builds))}</div></div>"
        f'<div class="two"><div><h2>Worse pictures ({escape(builds[0].name)})</h2>'
        f"{_card(_robust(builds[0], robustness))}</div>"
        f"<div><h2>By size</h2>{_sizes(builds)}<h2>By class</h2>{_classes(builds, classes)}"
        "</div></div><h2>Worst examples</h2><p>Green is true, orange is found. People are "
        f'pixelated.</p><div class="worst">{"".join(map(_example, examples))}</div></main></html>'
    )


def worst(truth: Sequence[Labelled], found: Sequence[Floats], *, count: int = 6) -> list[Example]:
    """Return the pictures with the most missed and false detections."""
    examples = [_judged(one, rows) for one, rows in zip(truth, found, strict=True)]
    return sorted(examples, key=lambda one: -(one.missed + one.false))[:count]


def pixelated(example: Example) -> Pixels:
    """Return the picture with everyone on it, labelled or found, as coarse blocks."""
    pixels = example.picture.pixels.copy()
    height, width = pixels.shape[:2]
    for box in example.people:
        x1, y1 = (int(max(0, value)) for value in np.floor(box[:2]))
        x2, y2 = int(min(width, np.ceil(box[2]))), int(min(height, np.ceil(box[3])))
        if x2 > x1 and y2 > y1:
            inside = pixels[y1:y2, x1:x2]
            blocks = (BLOCKS, max(1, round(BLOCKS * (y2 - y1) / (x2 - x1))))
            coarse = cv2.resize(inside, blocks, interpolation=cv2.INTER_AREA)
            inside[:] = cv2.resize(coarse, (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)
    return pixels


def _judged(picture: Labelled, rows: Floats) -> Example:
    sure = rows[rows[:, 4] >= SCORE_MIN]
    same = picture.classes[:, None] == sure[None, :, 5]
    hits = (iou_matrix(picture.boxes, sure[:, :4]) >= IOU_MIN) & same
    labelled = picture.boxes[picture.classes == PERSON]
    people = np.concatenate([labelled, rows[rows[:, 5] == PERSON, :4]])
    missed, false = (int((~hits.any(axis=axis)).sum()) for axis in (1, 0))
    return Example(picture, sure, people, missed, false)


def _example(example: Example) -> str:
    pixels = pixelated(example)
    for boxes, colour in ((example.picture.boxes, (80, 190, 60)), (example.found, (30, 120, 250))):
        for box in boxes:
            x1, y1, x2, y2 = (int(value) for value in box[:4])
            cv2.rectangle(pixels, (x1, y1), (x2, y2), colour, 2)
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    source = "data:image/jpeg;base64," + base64.b64encode(coded).decode()
    caption = f"{example.picture.name}: {example.missed} missed, {example.false} false"
    return f'<figure><img src="{source}" alt=""><figcaption>{escape(caption)}</figcaption></figure>'


def _card(chart: str) -> str:
    return f'<div class="card">{chart}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(word)}</th>" for word in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(word)}</td>" for word in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _builds(builds: Sequence[Measured]) -> str:
    head = ["build", "AP", "AP50", "agrees with fp32", "score off by ≤", "ms", "ratio", "MB", "RSS"]
    rows = [
        [
            one.name,
            f"{one.accuracy.ap:.3f}",
            f"{one.accuracy.ap50:.3f}",
            f"{one.agreement.agreement:.1%}",
            f"{one.agreement.score_difference_max:.3f}",
            f"{one.speed.latency_ms:.1f}",
            f"{one.speed.latency_ratio:.2f}",
            f"{one.size_bytes / 1e6:.2f}",
            f"{one.speed.rss_bytes / 1e6:.0f} MB",
        ]
        for one in builds
    ]
    return _table(head, rows)


def _trade(builds: Sequence[Measured]) -> str:
    largest = max(one.size_bytes for one in builds)
    points = [
        Point(
            f"{one.name} ({one.size_bytes / 1e6:.1f} MB)",
            one.speed.latency_ms,
            one.accuracy.ap,
            one.size_bytes / largest,
        )
        for one in builds
    ]
    x_max = round_up(1.15 * max(point.x for point in points))
    y_max = round_up(1.1 * max(0.01, *(point.y for point in points)))
    return bubbles(points, Axes("latency in ms", "AP", x_max, y_max))


def _precision(builds: Sequence[Measured]) -> str:
    recalls = [step / 100 for step in range(101)]
    lines = [Series(one.name, recalls, one.accuracy.curve) for one in builds]
    return curves(lines, Axes("recall", "precision", 1, 1))


def _robust(build: Measured, robustness: Sequence[Curve]) -> str:
    clean = build.accuracy.ap
    lines = [
        Series(curve.kind, range(len(curve.ap) + 1), [clean, *curve.ap]) for curve in robustness
    ]
    top = round_up(max([0.01, clean, *(ap for curve in robustness for ap in curve.ap)]))
    steps = max((len(curve.ap) for curve in robustness), default=1)
    words = ("clean", *(f"step {number}" for number in range(1, steps + 1)))
    return curves(lines, Axes("strength", "AP", steps, top, words))


def _sizes(builds: Sequence[Measured]) -> str:
    rows = [[one.name, *(_figure(one.accuracy.by_size.get(s)) for s in SIZES)] for one in builds]
    return _table(["build", *SIZES], rows)


def _classes(builds: Sequence[Measured], classes: Sequence[str]) -> str:
    numbers = sorted({number for one in builds for number in one.accuracy.by_class})[:8]
    rows = [
        [classes[number], *(_figure(one.accuracy.by_class.get(number)) for one in builds)]
        for number in numbers
    ]
    return _table(["class", *(one.name for one in builds)], rows)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
