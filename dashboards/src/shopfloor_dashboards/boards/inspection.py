"""Inspection lines: what fails and why, whether the line runs, and what people said of verdicts."""

from __future__ import annotations

from dataclasses import replace

from shopfloor_dashboards.fragments import LATENCY_EDGES_MS, in_range, share_interval
from shopfloor_dashboards.panels import Board, Limits, Look, asked

_WHERE = in_range("site", "station")
_FROM = f"FROM rollup_inspection WHERE {_WHERE}"
_PARTS = "sum(passed + failed + reviewed)"
_ONE = "site || ' ' || station"


def _share(part: str, whole: str, name: str) -> str:
    return f"(sum({part}) / NULLIF({whole}, 0))::float8 AS {name}"


_SUMS = f"""
SELECT bucket_start, sum(failed)::float8 AS failed, {_PARTS}::float8 AS parts {_FROM} GROUP BY 1"""

_LATENCY_SUMS = ", ".join(f"sum(latency_{i})" for i in range(len(LATENCY_EDGES_MS) + 1))
_LOWS = ", ".join(map(str, (0, *LATENCY_EDGES_MS)))
_HIGHS = ", ".join(map(str, (*LATENCY_EDGES_MS, LATENCY_EDGES_MS[-1])))

# As the API: spread evenly inside a bucket; what is above the last edge is told as that edge.
_LATENCY = f"""
WITH merged AS (
  SELECT bucket_start, ARRAY[{_LATENCY_SUMS}] AS counts {_FROM} GROUP BY 1
), buckets AS (
  SELECT bucket_start, number, count, (ARRAY[{_LOWS}])[number] AS low,
         (ARRAY[{_HIGHS}])[number] AS high,
         sum(count) OVER (PARTITION BY bucket_start ORDER BY number) AS passed,
         sum(count) OVER (PARTITION BY bucket_start) AS total
  FROM merged CROSS JOIN LATERAL unnest(counts) WITH ORDINALITY AS u(count, number)
)
SELECT DISTINCT ON (1, 2) bucket_start AS time, label AS metric,
       (low + (high - low) * (share * total - passed + count) / count)::float8 AS latency_ms
FROM buckets CROSS JOIN (VALUES (0.5, 'half are below'), (0.95, '19 of 20 are below'))
  AS wanted(share, label)
WHERE count > 0 AND passed >= share * total ORDER BY 1, 2, number"""

_NUMBERS = tuple(
    asked(Look.NUMBER, question, f"SELECT {column} {_FROM}", unit, limits, explanation=more)
    for question, column, unit, limits, more in (
        (
            "How many parts were judged?",
            f"{_PARTS}::float8 AS parts",
            "short",
            Limits(1e9, 1e10),
            "",
        ),
        (
            "Which share of them fails?",
            _share("failed", _PARTS, "defect_ratio"),
            "percentunit",
            Limits(0.02, 0.05),
            "",
        ),
        (
            "Which share is left to people?",
            _share("reviewed", _PARTS, "review_ratio"),
            "percentunit",
            Limits(0.02, 0.1),
            "",
        ),
        (
            "Which share of triggers got no verdict?",
            _share("missed", "sum(passed + failed + reviewed + missed)", "missed_ratio"),
            "percentunit",
            Limits(0.001, 0.01),
            "No picture came, or it came too late to reject the part.",
        ),
    )
)

_TIME = (
    asked(
        Look.LINES,
        "How does the defect rate go?",
        f"""
SELECT bucket_start AS time, metric, value_ratio FROM ({_SUMS}) AS s
CROSS JOIN LATERAL {share_interval("failed", "parts")} AS v(metric, value_ratio)
WHERE parts > 0 ORDER BY 1, 2""",
        "percentunit",
        Limits(0.02, 0.05),
        explanation="With its 95 % interval (Wilson); all stations of the board together.",
    ),
    asked(
        Look.LINES,
        "Which defects and doubts are there?",
        f"""
SELECT bucket_start AS time, sort || ' ' || name AS metric, sum(parts)::float8 AS parts
FROM rollup_defect WHERE {_WHERE} GROUP BY 1, 2 ORDER BY 1, 2""",
        "short",
        Limits(1e6, 1e7),
    ),
    asked(
        Look.LINES,
        "How long does a verdict take?",
        _LATENCY,
        "ms",
        Limits(100, 250),
        explanation="From trigger to verdict; more than 250 ms is shown as 250.",
    ),
    asked(
        Look.LINES,
        "Which share of time are lines alerted or stopped?",
        f"""
SELECT bucket_start AS time, {_ONE} || ', ' || state AS metric,
       (sum(spent_ms) / NULLIF(sum(window_ms), 0))::float8 AS time_ratio
FROM rollup_inspection CROSS JOIN LATERAL
  (VALUES ('alerted', alerted_ms), ('stopped', stopped_ms)) AS v(state, spent_ms)
WHERE {_WHERE} GROUP BY 1, 2 ORDER BY 1, 2""",
        "percentunit",
        Limits(0.1, 0.5),
        explanation="By the line's state at the end of each window.",
    ),
    asked(
        Look.LINES,
        "What do people say of verdicts?",
        f"""
SELECT bucket_start AS time, said AS metric, sum(parts)::float8 AS parts
FROM rollup_inspection CROSS JOIN LATERAL
  (VALUES ('escaped: passed, and bad', escapes), ('rejected, and good', false_rejects),
          ('agreed', confirmed)) AS v(said, parts)
WHERE {_WHERE} GROUP BY 1, 2 ORDER BY 1, 2""",
        "short",
        Limits(1e6, 1e7),
        explanation="Counted when it is said.",
    ),
    asked(
        Look.BARS,
        "Which defects are the most frequent?",
        f"""
SELECT name, sum(parts)::float8 AS parts FROM rollup_defect
WHERE sort = 'defect' AND {_WHERE} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20""",
        "short",
        Limits(1e6, 1e7),
    ),
)

_STATIONS = asked(
    Look.TABLE,
    "Which stations want a look?",
    f"""
SELECT site, station, left(max(model_digest), 12) AS model, {_PARTS}::float8 AS parts,
       {_share("failed", _PARTS, "defect_ratio")}, {_share("reviewed", _PARTS, "review_ratio")},
       {_share("missed", "sum(passed + failed + reviewed + missed)", "missed_ratio")},
       {_share("escapes", "sum(passed)", "escape_ratio")},
       {_share("false_rejects", "sum(failed)", "false_reject_ratio")},
       {_share("stopped_ms", "sum(window_ms)", "stopped_ratio")}, sum(stops)::float8 AS stops,
       {_share("covered_ms", "sum(window_ms)", "observed_ratio")}
{_FROM} GROUP BY 1, 2 ORDER BY stops DESC, defect_ratio DESC NULLS LAST, 1, 2 LIMIT 200""",
    "short",
    Limits(1e9, 1e10),
    to="shopfloor-site",
    units={
        f"{name}_ratio": "percentunit"
        for name in (
            *("defect", "review", "missed", "escape", "false_reject"),
            *("stopped", "observed"),
        )
    },
)

BOARD = Board(
    "shopfloor-inspection",
    "Shopfloor: inspection lines",
    (*_NUMBERS, *_TIME, replace(_STATIONS, width=24)),
    tables={
        "site": "SELECT DISTINCT site FROM rollup_inspection WHERE bucket_s = 86400 ORDER BY site",
        "station": "SELECT DISTINCT station FROM rollup_inspection "
        "WHERE bucket_s = 86400 AND site ~ '^${site:raw}$' ORDER BY station",
    },
    choices={"bucket": "hour : 3600, minute : 60, day : 86400"},
    since="now-2d",
    refresh="1m",
)
