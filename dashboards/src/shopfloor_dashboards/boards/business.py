"""What the cameras count for the business, by site, camera or zone; coverage lies beside it.

Out of ingest's sums: no figure is younger than its bucket. "Zone" is a zone, a line or a slot. A
panel shows the ``MOST_SERIES`` largest of a fleet. Days are the default: hours of thousands of
cameras over weeks are millions of rows.
"""

from __future__ import annotations

from shopfloor_dashboards.fragments import (
    MOST_SERIES,
    extreme,
    in_range,
    matches,
    percentiles,
    windows,
)
from shopfloor_dashboards.panels import Board, Limits, Look, asked

_WEEK_S = 604_800
_NO_LIMITS = Limits(1e9, 1e10)


def _where(thing: str) -> str:
    return f"{in_range('site', 'camera')} AND {thing} ~ '^${{zone:raw}}$'"


def _name(thing: str) -> str:
    """Return the name of a series, as the board's choice ``by`` wants it."""
    return (
        "CASE '$by' WHEN 'site' THEN site WHEN 'camera' THEN site || ' ' || camera "
        f"ELSE site || ' ' || camera || ' ' || {thing} END"
    )


def _series(kind: str, thing: str, value: str) -> str:
    every = f"""
SELECT bucket_start AS time, {_name(thing)} AS metric, {value}
FROM rollup_{kind} WHERE {_where(thing)} GROUP BY 1, 2"""
    return extreme(every, value.rsplit(" ", 1)[1])


def _mean(part: str, whole: str, name: str) -> str:
    return f"(sum({part})::float8 / NULLIF(sum({whole}), 0))::float8 AS {name}"


def _percentiles(histogram: str, largest: str, table: str) -> str:
    every = percentiles(histogram, largest, table, condition=_where("zone"), by=_name("zone"))
    return extreme(every, "value_s")


_NUMBERS = (
    asked(
        Look.NUMBER,
        "How many people came in?",
        "SELECT COALESCE(sum(crossings_in), 0)::float8 AS people FROM rollup_traffic "
        f"WHERE {_where('line')}",
        "short",
        _NO_LIMITS,
        explanation="Crossings inwards of every chosen line: who crosses two counts twice.",
    ),
    asked(
        Look.NUMBER,
        "Which share of time rests on pictures?",
        "SELECT (sum(covered_ms) / NULLIF(sum(window_ms), 0))::float8 AS observed_ratio "
        f"FROM ({windows(in_range('site', 'camera'))}) AS w",
        "percentunit",
        Limits(0.99, 0.9, falling=True),
        explanation="The rest was not seen: counts are too low by about as much.",
    ),
    asked(
        Look.NUMBER,
        "How long does a person wait?",
        f"SELECT {_mean('wait_ms / 1000.0', 'served', 'wait_mean_s')} FROM rollup_queue "
        f"WHERE {_where('zone')}",
        "s",
        Limits(120, 300),
    ),
    asked(
        Look.NUMBER,
        "Which share of time are slots empty?",
        f"SELECT {_mean('empty_ms', 'correct_ms + empty_ms + wrong_ms', 'empty_ratio')} "
        f"FROM rollup_shelf WHERE {_where('slot')}",
        "percentunit",
        Limits(0.05, 0.2),
    ),
)


_TRAFFIC = (
    asked(
        Look.LINES,
        "When do people come in?",
        _series("traffic", "line", "sum(crossings_in)::float8 AS people"),
        "short",
        _NO_LIMITS,
    ),
    asked(
        Look.LINES,
        "Is it as many as a week before?",
        f"""
SELECT bucket_start AS time, 'now' AS metric, sum(crossings_in)::float8 AS people
FROM rollup_traffic WHERE {_where("line")} GROUP BY 1
UNION ALL
SELECT bucket_start + {_WEEK_S}, 'a week before', sum(crossings_in)::float8
FROM rollup_traffic
WHERE bucket_s = $bucket AND bucket_start >= $__unixEpochFrom() - {_WEEK_S}
  AND bucket_start <= $__unixEpochTo() - {_WEEK_S}
  AND {matches("site", "camera")} AND line ~ '^${{zone:raw}}$' GROUP BY 1
ORDER BY 1""",
        "short",
        _NO_LIMITS,
        explanation="Mind the coverage of both weeks, in the table below.",
    ),
)

# Like for like: a line counts only in the buckets that both weeks have.
_WEEKS = asked(
    Look.TABLE,
    "Which sites have more or fewer people than a week before?",
    f"""
WITH lines AS (
  SELECT site, camera, line, bucket_start, sum(crossings_in) AS people,
         sum(covered_ms) AS covered_ms, sum(window_ms) AS window_ms
  FROM rollup_traffic
  WHERE bucket_s = $bucket AND {matches("site", "camera")} AND line ~ '^${{zone:raw}}$'
    AND bucket_start >= $__unixEpochFrom() - {_WEEK_S} AND bucket_start <= $__unixEpochTo()
  GROUP BY 1, 2, 3, 4
)
SELECT n.site, sum(n.people)::float8 AS people, sum(b.people)::float8 AS a_week_before,
       (sum(n.people)::float8 / NULLIF(sum(b.people), 0) - 1)::float8 AS change_ratio,
       (sum(n.covered_ms) / NULLIF(sum(n.window_ms), 0))::float8 AS observed_ratio,
       (sum(b.covered_ms) / NULLIF(sum(b.window_ms), 0))::float8 AS observed_then_ratio
FROM lines AS n JOIN lines AS b USING (site, camera, line)
WHERE n.bucket_start = b.bucket_start + {_WEEK_S} AND n.bucket_start >= $__unixEpochFrom()
GROUP BY n.site ORDER BY change_ratio, n.site LIMIT 200""",
    "short",
    _NO_LIMITS,
    to="shopfloor-site",
    units={
        "change_ratio": "percentunit",
        "observed_ratio": "percentunit",
        "observed_then_ratio": "percentunit",
    },
    explanation="Like for like: only what both weeks have counts.",
)

_COVERAGE = asked(
    Look.LINES,
    "Which cameras see less than they should?",
    extreme(
        f"""
SELECT bucket_start AS time, site || ' ' || camera AS metric,
       (sum(covered_ms) / NULLIF(sum(window_ms), 0))::float8 AS observed_ratio
FROM ({windows(in_range("site", "camera"))}) AS w GROUP BY 1, 2""",
        "observed_ratio",
        smallest=True,
    ),
    "percentunit",
    Limits(0.99, 0.9, falling=True),
    runbook="CamerasLost",
    explanation=f"The {MOST_SERIES} with the least.",
)

_ZONES = (
    asked(
        Look.LINES,
        "How many people are inside?",
        _series("occupancy", "zone", _mean("people_ms", "observed_ms", "people")),
        "short",
        _NO_LIMITS,
        explanation="Mean over the time observed.",
    ),
    asked(
        Look.LINES,
        "How many are there at most?",
        _series("occupancy", "zone", "max(people_max)::float8 AS people"),
        "short",
        _NO_LIMITS,
    ),
    asked(
        Look.LINES,
        "How long do people stay?",
        _percentiles("visits", "dwell_max_ms", "rollup_dwell"),
        "s",
        Limits(1e6, 1e7),
        explanation="From the merged buckets: off by at most the width of a bucket.",
    ),
    asked(
        Look.LINES,
        "How long do people wait?",
        _percentiles("waits", "wait_max_ms", "rollup_queue"),
        "s",
        Limits(120, 300),
        explanation="From the merged buckets: off by at most the width of a bucket.",
    ),
    asked(
        Look.LINES,
        "How long are the queues?",
        _series("queue", "zone", _mean("people_ms", "observed_ms", "people")),
        "short",
        Limits(4, 8),
        explanation="People, mean over the time observed.",
    ),
    asked(
        Look.LINES,
        "Which slots are empty?",
        _series(
            "shelf", "slot", _mean("empty_ms", "correct_ms + empty_ms + wrong_ms", "empty_ratio")
        ),
        "percentunit",
        Limits(0.05, 0.2),
        explanation="Share of the time in which the state of the slot was known.",
    ),
)

_ALERTS = (
    asked(
        Look.LINES,
        "Which alerts are raised?",
        extreme(
            "SELECT bucket_start AS time, rule || ', ' || severity AS metric, "
            "sum(raised)::float8 AS alerts FROM rollup_alert "
            f"WHERE {in_range('site', 'camera')} GROUP BY 1, 2",
            "alerts",
        ),
        "short",
        Limits(30, 60),
        runbook="AlertStorm",
    ),
    asked(
        Look.TABLE,
        "Where are the most alerts raised?",
        f"""
SELECT site, camera, rule, NULLIF(about, '') AS about, severity, sum(raised)::float8 AS raised,
       sum(suppressed)::float8 AS left_unsaid
FROM rollup_alert WHERE {in_range("site", "camera")}
GROUP BY 1, 2, 3, 4, 5 ORDER BY raised DESC, 1, 2, 3 LIMIT 200""",
        "short",
        Limits(1e6, 1e7),
        to="shopfloor-site",
        runbook="AlertStorm",
    ),
)

BOARD = Board(
    "shopfloor-business",
    "Shopfloor: business figures",
    (*_NUMBERS, *_TRAFFIC, _WEEKS, _COVERAGE, *_ZONES, *_ALERTS),
    tables={
        "site": "SELECT DISTINCT site FROM devices ORDER BY site",
        "camera": "SELECT DISTINCT camera FROM rollup_traffic "
        "WHERE bucket_s = 86400 AND site ~ '^${site:raw}$' UNION "
        "SELECT DISTINCT camera FROM rollup_occupancy "
        "WHERE bucket_s = 86400 AND site ~ '^${site:raw}$' ORDER BY 1",
        "zone": " UNION ".join(
            f"SELECT DISTINCT {thing} FROM rollup_{kind} "
            "WHERE bucket_s = 86400 AND site ~ '^${site:raw}$' AND camera ~ '^${camera:raw}$'"
            for kind, thing in (
                ("traffic", "line"),
                ("occupancy", "zone"),
                ("dwell", "zone"),
                ("queue", "zone"),
                ("shelf", "slot"),
            )
        )
        + " ORDER BY 1",
    },
    choices={
        "by": "site : site, camera : camera, zone : zone",
        "bucket": "day : 86400, hour : 3600, minute : 60",
    },
    since="now-28d",
    refresh="15m",
)
