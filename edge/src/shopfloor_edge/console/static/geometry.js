// Lines, zones and slots over a picture, as SVG. Shares of the picture in, a viewBox 1000 wide out.
"use strict";

const geometry = (() => {
  const NS = "http://www.w3.org/2000/svg";

  function make(name, attributes, parent) {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent?.append(node);
    return node;
  }

  // Returns the overlay and its height in units; the picture decides the shape.
  function overlay(scene) {
    const picture = scene.querySelector("img");
    const height = 1000 * (picture.naturalHeight || 9) / (picture.naturalWidth || 16);
    let svg = scene.querySelector("svg.overlay");
    if (!svg) {
      svg = make("svg", { class: "overlay", "aria-hidden": "true" });
      const frame = document.createElement("div");
      frame.className = "framed";
      picture.replaceWith(frame);
      frame.append(picture, svg);
    }
    svg.setAttribute("viewBox", `0 0 1000 ${height}`);
    return { svg, height };
  }

  // In is towards the right hand of one who looks from a to b, y pointing down.
  function inward(a, b) {
    const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
    const length = Math.hypot(dx, dy) || 1;
    return [-dy / length, dx / length];
  }

  function line(svg, a, b, text, parent = svg) {
    const group = make("g", { class: "drawn-line" }, parent);
    make("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], class: "under" }, group);
    make("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], class: "stroke" }, group);
    const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const [nx, ny] = inward(a, b);
    const tip = [middle[0] + 70 * nx, middle[1] + 70 * ny];
    const wing = (side) => [tip[0] - 24 * nx - side * 14 * ny, tip[1] - 24 * ny + side * 14 * nx];
    for (const kind of ["under", "stroke"]) {
      make("polyline", { points: [middle, tip].join(" "), class: kind }, group);
      make("polyline", { points: [wing(1), tip, wing(-1)].join(" "), class: kind }, group);
    }
    if (text) {
      // Beside the arrow, never on it.
      const anchor = nx > 0.5 ? "start" : nx < -0.5 ? "end" : "middle";
      const below = ny > 0.5 ? 34 : ny < -0.5 ? -8 : 10;
      label(group, [tip[0] + 14 * nx, tip[1] + 14 * ny + below], text, anchor);
    }
    return group;
  }

  function label(parent, at, text, anchor = "middle") {
    // 15 CSS pixels, however wide the picture is shown.
    const unit = 1000 / (parent.ownerSVGElement.getBoundingClientRect().width || 1000);
    const attributes = { x: at[0], y: at[1], "text-anchor": anchor, "font-size": 15 * unit };
    const node = make("text", { ...attributes, class: "drawn-label" }, parent);
    node.textContent = text;
    return node;
  }

  // Draws what is named by `only` ("line/door"), or everything.
  function show(scene, drawn, only, inText) {
    const { svg, height } = overlay(scene);
    svg.replaceChildren();
    const place = ([x, y]) => [x * 1000, y * height];
    for (const one of drawn.lines || []) {
      if (only && only !== `line/${one.name}`) continue;
      line(svg, place(one.a), place(one.b), inText);
    }
    for (const one of drawn.zones || []) {
      if (only && only !== `zone/${one.name}`) continue;
      const points = one.polygon.map(place).join(" ");
      make("polygon", { points, class: "under" }, svg);
      make("polygon", { points, class: "drawn-zone" }, svg);
    }
    for (const one of drawn.slots || []) {
      if (only && only !== `slot/${one.name}`) continue;
      const [x1, y1, x2, y2] = one.box;
      const [a, b] = [place([x1, y1]), place([x2, y2])];
      const box = { x: a[0], y: a[1], width: b[0] - a[0], height: b[1] - a[1] };
      make("rect", { ...box, class: "under" }, svg);
      make("rect", { ...box, class: "drawn-slot" }, svg);
    }
  }

  // Where two edges that are no neighbours meet, of an area that is closed or still being drawn.
  function crossing(points, closed) {
    const edges = points.map((p, n) => [p, points[(n + 1) % points.length]]).slice(0, closed ? undefined : -1);
    for (let i = 0; i < edges.length; i++) {
      for (let j = i + 2; j < edges.length; j++) {
        if (closed && i === 0 && j === edges.length - 1) continue;
        const at = meet(...edges[i], ...edges[j]);
        if (at) return { at, edges: [edges[i], edges[j]] };
      }
    }
    return null;
  }

  function meet(a, b, c, d) {
    const [r, s] = [[b[0] - a[0], b[1] - a[1]], [d[0] - c[0], d[1] - c[1]]];
    const across = r[0] * s[1] - r[1] * s[0];
    if (Math.abs(across) < 1e-12) return null;
    const t = ((c[0] - a[0]) * s[1] - (c[1] - a[1]) * s[0]) / across;
    const u = ((c[0] - a[0]) * r[1] - (c[1] - a[1]) * r[0]) / across;
    return t >= 0 && t <= 1 && u >= 0 && u <= 1 ? [a[0] + t * r[0], a[1] + t * r[1]] : null;
  }

  // Follows the finger or mouse of a pointerdown until it is lifted, or the browser takes it away.
  function follow(down, moved, ended) {
    const on = (event) => {
      if (event.pointerId !== down.pointerId) return;
      if (event.type === "pointermove") return moved(event);
      for (const name of names) window.removeEventListener(name, on);
      ended(event, event.type === "pointercancel");
    };
    const names = ["pointermove", "pointerup", "pointercancel"];
    for (const name of names) window.addEventListener(name, on);
  }

  return { NS, make, crossing, follow, overlay, inward, line, label, show };
})();
