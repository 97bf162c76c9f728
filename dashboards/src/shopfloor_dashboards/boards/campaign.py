"""Campaigns: how far each is, how devices end, and what the gates say; model verdicts included."""

from __future__ import annotations

from shopfloor_dashboards.panels import Board, Limits, lines, number

_C = "shopfloor_campaign_"
_OURS = 'campaign=~"$campaign"'
_BAD = '{result=~"failed|rolled-back|rollback-failed"}'
_ENDED = '{result!="cancelled"}'
_R = "[1d]"

BOARD = Board(
    "shopfloor-campaigns",
    "Shopfloor: campaigns",
    (
        number(
            "How many campaigns are running?",
            f'count({_C}status{{status="running",{_OURS}}}) or vector(0)',
            "short",
            Limits(10, 50),
        ),
        number(
            "How many were stopped by a gate?",
            f'count({_C}status{{status="stopped",{_OURS}}}) or vector(0)',
            "short",
            Limits(1, 2),
            runbook="CampaignStopped",
        ),
        number(
            "Which share of the updates of a day did commit?",
            f"1 - sum(increase({_C}updates_total{_BAD}{_R}))"
            f" / sum(increase({_C}updates_total{_ENDED}{_R}))",
            "percentunit",
            Limits(0.99, 0.95, falling=True),
            runbook="UpdateFailures",
            explanation="All campaigns; cancelled ones do not count.",
        ),
        number(
            "When do the first signatures expire?",
            "min(shopfloor_registry_trust_expires_timestamp_seconds"
            '{role=~"root|targets|bin"} - time())',
            "s",
            Limits(60 * 86_400, 30 * 86_400, falling=True),
            runbook="TrustExpiring",
        ),
        lines(
            "How far are the devices?",
            {"{{state}}": f"sum by (state) ({_C}devices{{{_OURS}}})"},
            "short",
            Limits(1e6, 1e7),
        ),
        lines(
            "Which share of each wave has committed?",
            {
                "{{campaign}} wave {{wave}}": f"sum by (campaign, wave)"
                f' ({_C}devices{{state="committed",{_OURS}}})'
                f" / sum by (campaign, wave) ({_C}devices{{{_OURS}}})"
            },
            "percentunit",
            Limits(2, 3),
        ),
        lines(
            "How do devices end their update?",
            {"{{result}}": f"sum by (result) (increase({_C}updates_total[$__rate_interval]))"},
            "short",
            Limits(1e6, 1e7),
            runbook="UpdateFailures",
        ),
        lines(
            "Which gates do not pass?",
            {
                "{{gate}}, {{verdict}}": "sum by (gate, verdict) (increase("
                f'{_C}gate_verdicts_total{{verdict!="pass"}}[$__rate_interval]))'
            },
            "short",
            Limits(1e6, 1e7),
            runbook="CampaignStopped",
        ),
    ),
    variables={"campaign": f"label_values({_C}status, campaign)"},
)
