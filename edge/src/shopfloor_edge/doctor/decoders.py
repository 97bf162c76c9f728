"""Which video this device can decode."""

from __future__ import annotations

from shopfloor_edge.doctor.child import Answer, ask
from shopfloor_edge.doctor.findings import Finding, Level

AREA = "video"
LIMIT_S = 60.0
"""The first start of GStreamer reads every plug-in."""
_PACKAGES = "install gstreamer1.0-libav, gstreamer1.0-plugins-good and gstreamer1.0-plugins-bad"


def check_decoders() -> list[Finding]:
    """Look for GStreamer and its decoders."""
    return judge(ask("decoders", limit_s=LIMIT_S))


def judge(answer: Answer) -> list[Finding]:
    """Turn the probe's answer into findings."""
    if answer.failure or "absent" in answer.values:
        found = answer.failure or str(answer.values["absent"])
        remedy = "install python3-gi and gir1.2-gstreamer-1.0; without it only files are read"
        return [Finding(AREA, "GStreamer", Level.BAD, found, remedy)]
    findings = [Finding(AREA, "GStreamer", Level.OK, str(answer.values["version"]))]
    codecs = answer.values["codecs"]
    for codec, elements in codecs.items() if isinstance(codecs, dict) else ():
        if elements:
            findings.append(Finding(AREA, codec, Level.OK, ", ".join(elements)))
        else:
            level = Level.BAD if codec == "H.264" else Level.WARN
            findings.append(Finding(AREA, codec, level, "no decoder", _PACKAGES))
    fallback, platform = str(answer.values["fallback"]), str(answer.values["platform"])
    if fallback:
        remedy = "install the rest of that platform's GStreamer plug-ins"
        findings.append(Finding(AREA, "hardware", Level.WARN, fallback, remedy))
    elif platform == "software":
        findings.append(Finding(AREA, "hardware", Level.ABSENT, "decoded on the CPU"))
    else:
        findings.append(Finding(AREA, "hardware", Level.OK, platform))
    return findings
