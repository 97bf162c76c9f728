"""One device: what it last said of itself, and what its cameras counted. All of it out of SQL."""

from __future__ import annotations

from shopfloor_dashboards.fragments import (
    DEVICES,
    INFERENCE_EDGES_MS,
    histogram_of,
    in_range,
    matches,
    windows,
)
from shopfloor_dashboards.panels import Board, Limits, Look, Panel, asked

_ONE = f"SELECT * FROM ({DEVICES}) AS d WHERE {matches('site', 'device')}"


def _said(question: str, path: str, column: str, unit: str, limits: Limits, **more: str) -> Panel:
    """Return a number out of the last heartbeat."""
    sql = f"SELECT (said #>> '{{{path}}}')::float8 AS {column} FROM ({_ONE}) AS one"
    return asked(Look.NUMBER, question, sql, unit, limits, **more)


_HEALTH = (
    asked(
        Look.NUMBER,
        "Is it heard?",
        f"SELECT heard::int AS heard FROM ({_ONE}) AS one",
        "bool_yes_no",
        Limits(1, 1, falling=True),
        runbook="DeviceOffline",
        explanation="Connected, and a heartbeat within the last 90 s.",
    ),
    asked(
        Look.NUMBER,
        "How long ago was it heard?",
        f"SELECT extract(epoch FROM now() - seen_at)::float8 AS age_s FROM ({_ONE}) AS one",
        "s",
        Limits(90, 600),
        runbook="DeviceLate",
    ),
    asked(
        Look.NUMBER,
        "Which share of its cameras is live?",
        f"""
SELECT avg((camera ->> 'status' = 'live')::int)::float8 AS live_ratio
FROM ({_ONE}) AS one CROSS JOIN LATERAL jsonb_array_elements(said -> 'cameras') AS camera
WHERE camera ->> 'status' <> 'ended'""",
        "percentunit",
        Limits(0.99, 0.5, falling=True),
        runbook="CamerasLost",
        explanation="At its last heartbeat.",
    ),
    _said(
        "How many events wait on it?",
        "outbox_rows",
        "rows_waiting",
        "short",
        Limits(1000, 5000),
        runbook="OutboxGrowing",
    ),
    _said(
        "How much disk is free?",
        "health,disk_free_bytes",
        "free_bytes",
        "bytes",
        Limits(2e9, 5e8, falling=True),
        runbook="OutboxWriteFailing",
        explanation="Where the outbox is.",
    ),
    _said(
        "How much memory is free?",
        "health,memory_available_bytes",
        "free_bytes",
        "bytes",
        Limits(2.5e8, 1e8, falling=True),
    ),
    _said(
        "How hot is it?",
        "health,temperature_c",
        "hottest_c",
        "celsius",
        Limits(75, 85),
        explanation="The hottest part that its kernel knows.",
    ),
    _said(
        "How far may its clock be off?",
        "health,clock_error_s",
        "error_s",
        "s",
        Limits(1, 10),
        explanation="Empty when no time service is followed.",
    ),
)

_EDGES = ", ".join(
    f"({number}, '{label}')"
    for number, label in enumerate(
        (
            *(f"below {edge} ms" for edge in INFERENCE_EDGES_MS),
            f"{INFERENCE_EDGES_MS[-1]} ms and more",
        ),
        1,
    )
)

_TABLES = (
    asked(
        Look.TABLE,
        "In which state are its cameras?",
        f"""
SELECT camera ->> 'camera' AS camera, camera ->> 'status' AS status,
       (camera ->> 'fps')::float8 AS frames_per_second, camera ->> 'reason' AS reason
FROM ({_ONE}) AS one CROSS JOIN LATERAL jsonb_array_elements(said -> 'cameras') AS camera
ORDER BY camera ->> 'status' = 'live', 1""",
        "short",
        Limits(1e6, 1e7),
        runbook="CamerasLost",
    ),
    asked(
        Look.TABLE,
        "Which model counts in front of which camera?",
        f"""
SELECT camera, left(model_digest, 12) AS model, to_timestamp(max(bucket_start)) AS newest_at,
       (sum(covered_ms) / NULLIF(sum(window_ms), 0))::float8 AS observed_ratio,
       (sum(degraded_ms) / NULLIF(sum(window_ms), 0))::float8 AS degraded_ratio
FROM ({windows(in_range("site", "device"))}) AS w
GROUP BY camera, model_digest ORDER BY camera, newest_at DESC""",
        "short",
        Limits(1e6, 1e7),
        to="shopfloor-model",
        carry="",
        units={
            "newest_at": "dateTimeFromNow",
            "observed_ratio": "percentunit",
            "degraded_ratio": "percentunit",
        },
        explanation="Degraded: another than the best way of the device had to count.",
    ),
    asked(
        Look.TABLE,
        "How far is its outbox stored, and what was lost?",
        f"""
SELECT w.stream, w.up_to AS stored_up_to, w.dropped AS given_up,
       (SELECT count(*) FROM waiting AS a
        WHERE (a.site, a.device, a.stream) = (w.site, w.device, w.stream)) AS came_ahead
FROM watermarks AS w WHERE {matches("site", "device")}
ORDER BY w.stream = (SELECT stream FROM ({_ONE}) AS one) DESC, w.up_to DESC""",
        "short",
        Limits(1e12, 1e13),
        runbook="OutboxDropping",
        explanation="The stream of today first; a new one begins with every new outbox.",
    ),
    asked(
        Look.BARS,
        "How long does the model take?",
        f"""
SELECT e.label AS frame,
       (h.count::float8 / NULLIF(sum(h.count::float8) OVER (), 0))::float8 AS frames_ratio
FROM ({_ONE}) AS one CROSS JOIN LATERAL {histogram_of("one", "inference_histogram")}
JOIN (VALUES {_EDGES}) AS e(number, label) ON e.number = h.number
ORDER BY h.number""",
        "percentunit",
        Limits(1.1, 1.2),
        explanation="Share of frames since the vision process started.",
    ),
)

_TIME = (
    asked(
        Look.LINES,
        "Which share of time was observed?",
        f"""
SELECT bucket_start AS time, camera AS metric,
       (sum(covered_ms) / NULLIF(sum(window_ms), 0))::float8 AS observed_ratio
FROM ({windows(in_range("site", "device"))}) AS w GROUP BY 1, 2 ORDER BY 1, 2""",
        "percentunit",
        Limits(0.99, 0.9, falling=True),
        runbook="CamerasLost",
        explanation="Of the windows that were reported.",
    ),
    asked(
        Look.LINES,
        "Which alerts did it raise?",
        f"""
SELECT bucket_start AS time, rule AS metric, sum(raised)::float8 AS alerts
FROM rollup_alert WHERE {in_range("site", "device")} GROUP BY 1, 2 ORDER BY 1, 2""",
        "short",
        Limits(30, 60),
        runbook="AlertStorm",
    ),
)

BOARD = Board(
    "shopfloor-device",
    "Shopfloor: device",
    (*_HEALTH, *_TABLES, *_TIME),
    tables={
        "site": "SELECT DISTINCT site FROM devices ORDER BY site",
        "device": "SELECT device FROM devices WHERE site ~ '^${site:raw}$' ORDER BY device",
    },
    single=frozenset({"site", "device"}),
    choices={"bucket": "hour : 3600, day : 86400, minute : 60"},
    since="now-24h",
    refresh="1m",
)
