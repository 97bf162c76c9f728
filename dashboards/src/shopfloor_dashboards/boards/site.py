"""One site: its devices, cameras, events and alerts."""

from __future__ import annotations

from shopfloor_dashboards.fragments import DEVICES, matches
from shopfloor_dashboards.panels import Board, Limits, Look, asked, lines, number

_IS = 'site=~"$site"'

BOARD = Board(
    "shopfloor-site",
    "Shopfloor: site",
    (
        number(
            "How many devices are heard?",
            f'sum(site_state:shopfloor_fleet_devices:max{{{_IS},state="online"}})',
            "short",
            Limits(1, 0.5, falling=True),
            runbook="SiteDown",
        ),
        number(
            "Which share of cameras is live?",
            f'sum(site_status:shopfloor_fleet_cameras:max{{{_IS},status="live"}}) / '
            f'sum(site_status:shopfloor_fleet_cameras:max{{{_IS},status!="ended"}})',
            "percentunit",
            Limits(0.99, 0.5, falling=True),
            runbook="SiteBlind",
        ),
        number(
            "How old is the newest event?",
            f"max(site:shopfloor_event_age_seconds:max{{{_IS}}})",
            "s",
            Limits(300, 900),
            runbook="EventsStale",
        ),
        number(
            "How old is the most overdue heartbeat?",
            f"max(shopfloor_fleet_heartbeat_age_seconds{{{_IS}}})",
            "s",
            Limits(90, 600),
            runbook="DeviceLate",
        ),
        lines(
            "Since when are devices not online?",
            {"{{state}}": f"sum by (state) (site_state:shopfloor_fleet_devices:max{{{_IS}}})"},
            "short",
            Limits(100_000, 1_000_000),
            runbook="DeviceOffline",
        ),
        lines(
            "Since when are cameras lost?",
            {"{{status}}": f"sum by (status) (site_status:shopfloor_fleet_cameras:max{{{_IS}}})"},
            "short",
            Limits(1_000_000, 10_000_000),
            runbook="CamerasLost",
        ),
        lines(
            "How many events wait on its devices?",
            {"{{site}}": f"max by (site) (shopfloor_fleet_outbox_rows{{{_IS}}})"},
            "short",
            Limits(1000, 5000),
            runbook="OutboxGrowing",
        ),
        lines(
            "Were events lost on its devices?",
            {
                "given up": f"max(delta(shopfloor_fleet_outbox_dropped{{{_IS}}}[15m]))",
                "not written": f"max(delta(shopfloor_fleet_outbox_write_failures{{{_IS}}}[15m]))",
            },
            "short",
            Limits(1, 100),
            runbook="OutboxDropping",
            explanation="Per 15 minutes.",
        ),
        lines(
            "Which alerts do its rules raise?",
            {
                "{{severity}}": "sum by (severity) "
                f"(increase(shopfloor_fleet_alerts_total{{{_IS}}}[1h]))"
            },
            "short",
            Limits(30, 60),
            runbook="AlertStorm",
            explanation="Per hour.",
        ),
        asked(
            Look.TABLE,
            "Which of its devices wants a look?",
            f"""
SELECT site, device, CASE WHEN heard THEN 'online' WHEN status = 'online' THEN 'late'
                          ELSE 'offline' END AS state, seen_at,
       (said ->> 'outbox_rows')::float8 AS waiting, (said ->> 'outbox_dropped')::float8 AS given_up,
       (SELECT count(*) FROM jsonb_array_elements(said -> 'cameras') AS camera
        WHERE camera ->> 'status' NOT IN ('live', 'ended')) AS cameras_lost
FROM ({DEVICES}) AS d WHERE {matches("site")} ORDER BY heard, cameras_lost DESC, 1, 2 LIMIT 500""",
            "short",
            Limits(1e6, 1e7),
            to="shopfloor-device",
            carry="site device",
            units={"seen_at": "dateTimeFromNow"},
        ),
    ),
    {"site": "label_values(shopfloor_fleet_devices, site)"},
)
