"""What is wrong in the fleet, where, since when."""

from __future__ import annotations

from shopfloor_dashboards.panels import Board, Limits, lines, number

_D = "site_state:shopfloor_fleet_devices:max"
_C = "site_status:shopfloor_fleet_cameras:max"
_SITE = "shopfloor-site"

BOARD = Board(
    "shopfloor-fleet",
    "Shopfloor: fleet",
    (
        number(
            "How many sites are down?",
            f'count(sum by (site) ({_D}{{state="online"}}) == 0) or vector(0)',
            "short",
            Limits(1, 5),
            runbook="SiteDown",
        ),
        number(
            "Which share of cameras is live?",
            "fleet:shopfloor_cameras_live:ratio",
            "percentunit",
            Limits(0.99, 0.95, falling=True),
            runbook="InferenceBudgetBurn",
        ),
        number(
            "Which share of sites sends fresh events?",
            "fleet:shopfloor_sites_fresh:ratio",
            "percentunit",
            Limits(0.99, 0.95, falling=True),
            runbook="FreshnessBudgetBurn",
        ),
        number(
            "How many alerts of ours are firing?",
            'count(ALERTS{alertstate="firing",alertname!="Watchdog"}) or vector(0)',
            "short",
            Limits(1, 10),
            explanation="Of Prometheus, about the fleet; alerts of the sites' own rules are below.",
        ),
        lines(
            "How many devices are online, late and offline?",
            {"{{state}}": f"sum by (state) ({_D})"},
            "short",
            Limits(100_000, 1_000_000),
            runbook="DeviceOffline",
            explanation="Late: connected, and no heartbeat for 90 s.",
        ),
        lines(
            "In which state are the cameras?",
            {"{{status}}": f"sum by (status) ({_C})"},
            "short",
            Limits(1_000_000, 10_000_000),
            runbook="CamerasLost",
        ),
        lines(
            "Which sites have the most lost cameras?",
            {"{{site}}": f'topk(10, sum by (site) ({_C}{{status!~"live|ended"}}))'},
            "short",
            Limits(1, 10),
            to=_SITE,
            runbook="CamerasLost",
        ),
        lines(
            "Which sites were heard last the longest ago?",
            {"{{site}}": "topk(10, max by (site) (shopfloor_fleet_heartbeat_age_seconds))"},
            "s",
            Limits(90, 600),
            to=_SITE,
            runbook="SiteDown",
        ),
        lines(
            "Where do the most events wait?",
            {"{{site}}": "topk(10, max by (site) (shopfloor_fleet_outbox_rows))"},
            "short",
            Limits(1000, 5000),
            to=_SITE,
            runbook="OutboxGrowing",
        ),
        lines(
            "Which sites raise the most alerts of their own rules?",
            {"{{site}}": "topk(10, sum by (site) (increase(shopfloor_fleet_alerts_total[1h])))"},
            "short",
            Limits(30, 60),
            to=_SITE,
            runbook="AlertStorm",
            explanation="Per hour, over all severities.",
        ),
    ),
)
