"""Pieces of SQL over ingest's tables that several boards share.

A board's variables are compared as patterns, so that "All" (``.*``) costs one comparison however
many sites there are: ``site ~ '^${site:raw}$'``. Values are slugs, which have nothing to escape.
"""

from __future__ import annotations

WINDOWED = ("traffic", "occupancy", "dwell", "queue", "heat", "shelf")
"""Kinds that a detector counts in windows; alerts rest on none, inspections have judges."""

EDGES_S = (5, 15, 30, 60, 120, 300, 600)
"""As ``shopfloor_contracts.aggregates.DWELL_EDGES_S``: a test holds both together."""

INFERENCE_EDGES_MS = (10, 20, 35, 50, 75, 100, 250, 1000)
"""As ``shopfloor_contracts.events``: a test holds both together."""

LATENCY_EDGES_MS = (5, 10, 20, 35, 50, 75, 100, 250)
"""As ``shopfloor_contracts.aggregates``: a test holds both together."""

_Z = 1.959964


def share_interval(part: str, whole: str) -> str:
    """Return rows (label, value): a share and the ends of its 95 % interval (Wilson 1927).

    ``part`` and ``whole`` are columns of the row before, floats, ``whole`` above 0.
    """
    middle = f"({part} + {_Z**2 / 2}) / ({whole} + {_Z**2})"
    half = f"{_Z} * sqrt({part} * ({whole} - {part}) / {whole} + {_Z**2 / 4}) / ({whole} + {_Z**2})"
    return (
        f"(VALUES ('measured', {part} / {whole}), ('at least', GREATEST(0, {middle} - {half})),"
        f" ('at most', LEAST(1, {middle} + {half})))"
    )


def matches(*names: str) -> str:
    """Return the condition that each column fits the board's variable of that name."""
    return " AND ".join(f"{name} ~ '^${{{name}:raw}}$'" for name in names)


def in_range(*names: str, bucket_s: str = "$bucket") -> str:
    """Return the condition on a roll-up: its buckets in the board's range, and ``matches``."""
    range_ = f"bucket_s = {bucket_s} AND $__unixEpochFilter(bucket_start)"
    return f"{range_} AND {matches(*names)}" if names else range_


def windows(condition: str) -> str:
    """Return a table of what was observed, over every kind that rests on windows.

    Each kind tells the same windows of a camera: ratios of the sums are right, their absolute
    values count a camera once per kind and zone.
    """
    columns = "site, device, camera, model_digest, bucket_start, window_ms, covered_ms, degraded_ms"
    return " UNION ALL ".join(
        f"SELECT {columns} FROM rollup_{kind} WHERE {condition}" for kind in WINDOWED
    )


MOST_SERIES = 20
"""Lines of one panel: more cannot be told apart, and a fleet has thousands."""


def extreme(series: str, value: str, *, smallest: bool = False) -> str:
    """Return those series of ``series`` (time, metric, ``value``) that go the farthest."""
    order = f"min({value})" if smallest else f"max({value}) DESC NULLS LAST"
    return f"""
WITH every AS ({series})
SELECT time, metric, {value} FROM every
WHERE metric IN (SELECT metric FROM every GROUP BY metric ORDER BY {order}, metric
                 LIMIT {MOST_SERIES})
ORDER BY time, metric"""


def percentiles(histogram: str, largest: str, table: str, *, condition: str, by: str) -> str:
    """Return time, metric and the 50th and 90th percentile of a histogram's merged buckets.

    As ``shopfloor_ingest.domain.percentiles``: values are spread evenly inside a bucket, and the
    last one ends with the largest value seen.
    """
    sums = ", ".join(f"sum({histogram}_{i})" for i in range(8))
    lows = ", ".join(map(str, (0, *EDGES_S)))
    highs = ", ".join(map(str, (*EDGES_S, EDGES_S[-1])))
    return f"""
WITH merged AS (
  SELECT bucket_start, {by} AS name, ARRAY[{sums}] AS counts, max({largest}) / 1000.0 AS largest_s
  FROM {table} WHERE {condition} GROUP BY bucket_start, {by}
), buckets AS (
  SELECT bucket_start, name, largest_s, number, count,
         (ARRAY[{lows}])[number] AS low,
         CASE WHEN number = 8 THEN GREATEST(largest_s, {EDGES_S[-1]})
              ELSE (ARRAY[{highs}])[number] END AS high,
         sum(count) OVER (PARTITION BY bucket_start, name ORDER BY number) AS passed,
         sum(count) OVER (PARTITION BY bucket_start, name) AS total
  FROM merged CROSS JOIN LATERAL unnest(counts) WITH ORDINALITY AS u(count, number)
)
SELECT DISTINCT ON (1, 2) bucket_start AS time, name || ', ' || label AS metric,
       LEAST(low + (high - low) * (share * total - passed + count) / count, largest_s)::float8
         AS value_s
FROM buckets CROSS JOIN (VALUES (0.5, 'half are below'), (0.9, '9 of 10 are below'))
  AS wanted(share, label)
WHERE count > 0 AND passed >= share * total
ORDER BY 1, 2, number"""


DEVICES = """
SELECT site, device, status, stream, last_seen_at::timestamptz AS seen_at,
       status = 'online' AND last_seen_at::timestamptz > now() - interval '90 s' AS heard,
       heartbeat::jsonb AS said
FROM devices"""
"""Devices with their last heartbeat; ``said`` is NULL of one that never sent any."""

MODEL_OF_DEVICE = f"""
SELECT DISTINCT ON (site, device) site, device, model_digest
FROM ({windows(in_range("site"))}) AS w
WHERE model_digest <> '' ORDER BY site, device, bucket_start DESC"""
"""The model that counted last on each device, within the board's range."""


def histogram_of(device: str, name: str) -> str:
    """Return the rows (count, number from 1) of a histogram in the heartbeat of ``device``."""
    found = f"{device}.said #> '{{health,{name}}}'"
    # Absent, or null of a device that does not say.
    safe = f"CASE WHEN jsonb_typeof({found}) = 'array' THEN {found} ELSE '[]' END"
    return f"jsonb_array_elements_text({safe}) WITH ORDINALITY AS h(count, number)"
