"""``shopfloor-edge check``: what a site file asks for, in words."""

from __future__ import annotations

from shopfloor_contracts.rules import RuleSpec
from shopfloor_contracts.site import CameraSpec, SiteFile


def describe_site(site: SiteFile) -> list[str]:
    """Return a line per camera, then one per rule."""
    cameras = [f"{c.name}: {', '.join(_drawn(c)) or 'nothing is counted'}" for c in site.cameras]
    rules = [f"rule {rule.name} ({rule.severity}): {_condition(rule)}" for rule in site.rules]
    return cameras + rules


def _drawn(camera: CameraSpec) -> list[str]:
    drawn = [f"line {line.name}" for line in camera.lines]
    drawn += [f"zone {zone.name} ({', '.join(zone.analytics)})" for zone in camera.zones]
    drawn += [f"slot {slot.name} ({slot.expects})" for slot in camera.slots]
    return drawn + (["heat map"] if camera.heat else [])


def _condition(rule: RuleSpec) -> str:
    what = f"{rule.metric} of {rule.camera}" + (f"/{rule.about}" if rule.about else "")
    if rule.above is not None:
        what += f" above {rule.above:g}"
    if rule.below is not None:
        what += f" below {rule.below:g}"
    if rule.direction is not None:
        what += f", {rule.direction}"
    return what + (f" for {rule.for_s:g} s" if rule.for_s else "")
