"""Models in the field: where which one counts, what it observes, how sure and how fast it is.

Scores and times are those of each device's last heartbeat, since its vision process started: the
cloud keeps no older ones, so that drift is told between devices and models, not between weeks.
"""

from __future__ import annotations

from shopfloor_dashboards.fragments import (
    DEVICES,
    INFERENCE_EDGES_MS,
    MODEL_OF_DEVICE,
    histogram_of,
    in_range,
    windows,
)
from shopfloor_dashboards.panels import Board, Limits, Look, asked, lines

_W = f"({windows(in_range('site'))}) AS w"
_MODEL = "left(model_digest, 12)"


def _histograms(name: str) -> str:
    """Return site, device, model, bucket number and count of every device that says so."""
    return f"""
SELECT d.site, d.device, left(m.model_digest, 12) AS model, h.number, h.count::float8 AS count
FROM ({DEVICES}) AS d JOIN ({MODEL_OF_DEVICE}) AS m USING (site, device)
CROSS JOIN LATERAL {histogram_of("d", name)}"""


# Population stability index over ten score buckets, each share at least 1 in 10,000 so that an
# empty bucket has a logarithm: sum((p - q) ln(p / q)), p of the device, q of the others together.
_DRIFT = f"""
WITH scores AS ({_histograms("score_histogram")}), shares AS (
  SELECT site, device, model, number, count,
         sum(count) OVER one AS of_device,
         sum(count) OVER bucket - count AS others,
         sum(count) OVER whole - sum(count) OVER one AS of_others
  FROM scores WINDOW one AS (PARTITION BY site, device), whole AS (PARTITION BY model),
                     bucket AS (PARTITION BY model, number)
), compared AS (
  SELECT site, device, model, number, count, of_device,
         GREATEST(count / of_device, 0.0001) AS p, GREATEST(others / of_others, 0.0001) AS q
  FROM shares WHERE of_device > 0 AND of_others > 0
)
SELECT site, device, model, sum(count)::float8 AS detections,
       (sum(count * (number - 0.5) / 10) / sum(count))::float8 AS mean_score,
       sum((p - q) * ln(p / q))::float8 AS drift
FROM compared GROUP BY site, device, model"""

_PASSED = ", ".join(f"({number}, {edge})" for number, edge in enumerate(INFERENCE_EDGES_MS, 1))

_NUMBERS = (
    asked(
        Look.NUMBER,
        "How many models count?",
        f"SELECT count(DISTINCT model_digest)::int AS models FROM {_W} WHERE model_digest <> ''",
        "short",
        Limits(4, 10),
    ),
    asked(
        Look.NUMBER,
        "Which share of time was observed?",
        f"SELECT (sum(covered_ms) / NULLIF(sum(window_ms), 0))::float8 AS observed_ratio FROM {_W}",
        "percentunit",
        Limits(0.99, 0.95, falling=True),
    ),
    asked(
        Look.NUMBER,
        "Which share was counted in a degraded way?",
        "SELECT (sum(degraded_ms) / NULLIF(sum(window_ms), 0))::float8 AS degraded_ratio "
        f"FROM {_W}",
        "percentunit",
        Limits(0.01, 0.1),
    ),
    asked(
        Look.NUMBER,
        "How far are the strangest device's scores from the others'?",
        f"SELECT max(drift)::float8 AS drift FROM ({_DRIFT}) AS d",
        "short",
        Limits(0.1, 0.25),
        explanation="Population stability index: below 0.1 alike, above 0.25 another picture.",
    ),
)

_TABLES = (
    asked(
        Look.TABLE,
        "Which model counts where?",
        f"""
SELECT {_MODEL} AS model, count(DISTINCT site) AS sites,
       count(DISTINCT (site, device)) AS devices, count(DISTINCT (site, device, camera)) AS cameras,
       (sum(covered_ms) / NULLIF(sum(window_ms), 0))::float8 AS observed_ratio,
       (sum(degraded_ms) / NULLIF(sum(window_ms), 0))::float8 AS degraded_ratio,
       to_timestamp(max(bucket_start)) AS newest_at
FROM {_W} WHERE model_digest <> '' GROUP BY 1 ORDER BY cameras DESC, 1""",
        "short",
        Limits(1e6, 1e7),
        units={
            "observed_ratio": "percentunit",
            "degraded_ratio": "percentunit",
            "newest_at": "dateTimeFromNow",
        },
    ),
    asked(
        Look.TABLE,
        "Whose scores differ most from the others with the same model?",
        f"{_DRIFT} ORDER BY drift DESC LIMIT 50",
        "short",
        Limits(1e12, 1e13),
        to="shopfloor-device",
        carry="site device",
        units={"mean_score": "none", "drift": "none"},
        explanation="Drift: population stability index. A new light, a moved camera or dirt.",
    ),
)

_BARS = (
    asked(
        Look.BARS,
        "How sure are the models of what they see?",
        f"""
SELECT to_char((number - 1) / 10.0, '0.0') || ' to ' || to_char(number / 10.0, '0.0') AS score,
       (sum(count) FILTER (WHERE model ~ '^${{model:raw}}$')
        / NULLIF(sum(sum(count) FILTER (WHERE model ~ '^${{model:raw}}$')) OVER (), 0))::float8
         AS chosen_ratio,
       (sum(count) / NULLIF(sum(sum(count)) OVER (), 0))::float8 AS all_ratio
FROM ({_histograms("score_histogram")}) AS s GROUP BY number ORDER BY number""",
        "percentunit",
        Limits(1.1, 1.2),
        explanation="Share of detections; the model chosen above beside all of them.",
    ),
    asked(
        Look.TABLE,
        "How long does a frame take, by model?",
        f"""
WITH counted AS (
  SELECT model, number, sum(count) AS count FROM ({_histograms("inference_histogram")}) AS s
  GROUP BY model, number
), passed AS (
  SELECT model, number, sum(count) OVER (PARTITION BY model ORDER BY number) AS passed,
         sum(count) OVER (PARTITION BY model) AS frames FROM counted
)
SELECT model, max(frames)::float8 AS frames,
       min(edge) FILTER (WHERE passed >= 0.5 * frames)::float8 AS half_are_below_ms,
       min(edge) FILTER (WHERE passed >= 0.99 * frames)::float8 AS of_100_all_but_1_are_below_ms,
       (1 - max(passed) FILTER (WHERE edge = 100) / NULLIF(max(frames), 0))::float8
         AS slower_than_100_ms_ratio
FROM passed JOIN (VALUES {_PASSED}) AS e(number, edge) USING (number)
GROUP BY model ORDER BY model""",
        "short",
        Limits(1e12, 1e13),
        units={
            "half_are_below_ms": "ms",
            "of_100_all_but_1_are_below_ms": "ms",
            "slower_than_100_ms_ratio": "percentunit",
        },
        explanation="The edge of the bucket in which they lie; empty above 1 s.",
    ),
)


_TIME = (
    asked(
        Look.LINES,
        "Does a model observe less than another?",
        f"""
SELECT bucket_start AS time, {_MODEL} AS metric,
       (sum(covered_ms) / NULLIF(sum(window_ms), 0))::float8 AS observed_ratio
FROM {_W} WHERE model_digest <> '' GROUP BY 1, 2 ORDER BY 1, 2""",
        "percentunit",
        Limits(0.99, 0.9, falling=True),
    ),
    asked(
        Look.LINES,
        "When had another way than the best one to do?",
        f"""
SELECT bucket_start AS time, {_MODEL} AS metric,
       (sum(degraded_ms) / NULLIF(sum(window_ms), 0))::float8 AS degraded_ratio
FROM {_W} WHERE model_digest <> '' GROUP BY 1, 2 ORDER BY 1, 2""",
        "percentunit",
        Limits(0.01, 0.1),
    ),
    asked(
        Look.LINES,
        "How many cameras count with which model?",
        f"""
SELECT bucket_start AS time, {_MODEL} AS metric,
       count(DISTINCT (site, device, camera))::int AS cameras
FROM {_W} WHERE model_digest <> '' GROUP BY 1, 2 ORDER BY 1, 2""",
        "short",
        Limits(1e6, 1e7),
    ),
)

_SHADOW = (
    lines(
        "What do gates say of new models beside the old ones?",
        {
            "{{gate}}, {{verdict}}": "sum by (gate, verdict) (increase("
            "shopfloor_campaign_gate_verdicts_total"
            '{gate=~"score-drift|count-difference|disagreement"}[$__rate_interval]))'
        },
        "short",
        Limits(1e6, 1e7),
        to="shopfloor-campaigns",
        explanation="Both models on the same frames, in shadow mode or on trial; all campaigns.",
    ),
)

BOARD = Board(
    "shopfloor-model",
    "Shopfloor: model quality",
    (*_NUMBERS, *_TABLES, *_BARS, *_TIME, *_SHADOW),
    tables={
        "site": "SELECT DISTINCT site FROM devices ORDER BY site",
        "model": "SELECT DISTINCT left(model_digest, 12) AS model FROM rollup_traffic "
        "WHERE bucket_s = 86400 UNION SELECT DISTINCT left(model_digest, 12) "
        "FROM rollup_occupancy WHERE bucket_s = 86400 ORDER BY 1",
    },
    choices={"bucket": "day : 86400, hour : 3600, minute : 60"},
    since="now-28d",
    refresh="15m",
)
