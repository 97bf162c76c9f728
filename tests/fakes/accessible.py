"""What a page does that keeps people out: axe-core where it is at hand, and checks of our own."""

from __future__ import annotations

from pathlib import Path

AXE = Path(__file__).resolve().parents[2] / "var/npm/node_modules/axe-core/axe.min.js"
"""``make check-console`` brings it; it is never shipped."""
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_UNNAMED = """() => [...document.querySelectorAll("a, button, input, select, summary, [role=img]")]
  .filter((e) => e.type !== "hidden" && !e.closest("[hidden], [aria-hidden=true]"))
  .filter((e) => !(e.ariaLabel || e.textContent.trim() || (e.labels && e.labels.length)))
  .map((e) => "no name: " + e.outerHTML.slice(0, 160))"""
_SMALL = """() => [...document.querySelectorAll(".button, nav a, summary, select, input, .person")]
  .filter((e) => e.checkVisibility() && !["checkbox", "radio", "hidden"].includes(e.type))
  .map((e) => [e, e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
  .map(([e, box]) => `small: ${box.width} × ${box.height} ` + e.outerHTML.slice(0, 160))"""
# Contrast as WCAG 2.2 defines it (1.4.3), of every text with the colour that lies behind it.
_PALE = """() => {
  const rgb = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0.85) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const said = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!said || !e.checkVisibility()) continue;
    const style = getComputedStyle(e);
    const ink = e.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(rgb(ink)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push("pale: " + ratio.toFixed(2) + " " + e.outerHTML.slice(0, 160));
  }
  return found;
}"""
_WIDE = """() => document.documentElement.scrollWidth > innerWidth + 1
  ? [`wider than the screen: ${document.documentElement.scrollWidth} > ${innerWidth}`] : []"""
_AXE = """async (tags) => (await axe.run(document, { runOnly: tags })).violations.flatMap((v) =>
  v.nodes.map((n) => `axe ${v.id}: ${n.html.slice(0, 160)} ${n.any.map((a) => a.message)}`))"""


def barriers(page) -> list[str]:
    """Return what is wrong with a page (of Playwright), a line each; empty: nothing is."""
    found = []
    for check in (_UNNAMED, _SMALL, _PALE, _WIDE):
        found += page.evaluate(check)
    if AXE.is_file():
        # The page's policy lets no script in; a test's evaluate is not bound by it.
        page.evaluate(AXE.read_text(encoding="utf-8") + "\n;undefined")
        found += page.evaluate(_AXE, TAGS)
    return found
