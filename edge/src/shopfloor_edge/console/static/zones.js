// Draws lines, zones and slots over the picture with a finger, a mouse or the arrow keys.
"use strict";

(() => {
  const root = document.getElementById("drawing");
  const scene = root.querySelector(".scene");
  const picture = scene.querySelector("img");
  const texts = document.getElementById("zone-texts").dataset;
  const hint = root.querySelector("[data-hint]");
  const TAP = 14; // Units of 1000: a finger that moved less has tapped.
  const STEP = 0.005, LARGE = 0.03;
  const SORTS = { line: "lines", zone: "zones", slot: "slots" };

  let drawn = JSON.parse(root.dataset.drawn);
  let past = [], future = [], mode = "select", chosen = null;
  let draft = null, svg = null, height = 600, trails = [], trial = null, timer = 0, asked = 0;
  const saved = JSON.stringify(drawn);

  const clamp = (v) => Math.min(1, Math.max(0, Math.round(v * 1e4) / 1e4));
  const place = ([x, y]) => [x * 1000, y * height];
  const share = ([x, y]) => [clamp(x / 1000), clamp(y / height)];
  const key = (sort, index) => `${sort}/${index}`;

  // Every change goes through here, so that every change can be undone.
  function change(step) {
    const before = JSON.stringify(drawn);
    step();
    if (JSON.stringify(drawn) === before) return render();
    past.push(before);
    future = [];
    changed();
  }
  function back(from, to) {
    if (!from.length) return;
    to.push(JSON.stringify(drawn));
    drawn = JSON.parse(from.pop());
    chosen = null;
    changed();
  }
  function changed() {
    render();
    clearTimeout(timer);
    timer = setTimeout(preview, 250);
  }

  const list = zone_list(root, texts, {
    drawn: () => drawn,
    trial: () => trial,
    steps: () => `${past.length}/${future.length}`,
    chosen: (sort, index) => chosen === key(sort, index),
    choose: (sort, index) => { chosen = sort && key(sort, index); render(); },
    change: (step) => change(() => step(drawn)),
  });

  function free(sort) {
    const names = drawn[SORTS[sort]].map((one) => one.name);
    let number = 1;
    while (names.includes(`${sort}-${number}`)) number++;
    return `${sort}-${number}`;
  }
  function add(sort, thing) {
    change(() => drawn[SORTS[sort]].push({ name: free(sort), ...thing }));
    chosen = key(sort, drawn[SORTS[sort]].length - 1);
    setMode("select");
  }

  function render() {
    if (svg === null) return;
    const focused = document.activeElement?.dataset?.handle;
    svg.replaceChildren();
    svg.classList.toggle("drawing-now", mode !== "select");
    const make = (name, attributes, parent) => geometry.make(name, attributes, parent || svg);
    if (root.querySelector("[data-trails]").checked) {
      for (const trail of trails) make("polyline", { points: trail.map(place).join(" "), class: "trail" });
    }
    let crossed = null;
    drawn.zones.forEach((one, index) => {
      const group = group_of("zone", index);
      const points = one.polygon.map(place);
      make("polygon", { points: points.join(" "), class: "under" }, group);
      make("polygon", { points: points.join(" "), class: "drawn-zone" }, group);
      const top = points.reduce((best, p) => (p[1] < best[1] ? p : best));
      geometry.label(group, [Math.min(900, Math.max(100, top[0])), Math.max(34, top[1] - 12)], one.name);
      body(make("polygon", { points: points.join(" "), class: "body" }, group), "zone", index);
      crossed = crossed || geometry.crossing(one.polygon, true);
    });
    drawn.slots.forEach((one, index) => {
      const group = group_of("slot", index);
      const [a, b] = [place(one.box.slice(0, 2)), place(one.box.slice(2))];
      const box = { x: a[0], y: a[1], width: b[0] - a[0], height: b[1] - a[1] };
      for (const kind of ["under", "drawn-slot"]) make("rect", { ...box, class: kind }, group);
      geometry.label(group, [(a[0] + b[0]) / 2, Math.max(34, a[1] - 10)], one.name);
      body(make("rect", { ...box, class: "body" }, group), "slot", index);
    });
    drawn.lines.forEach((one, index) => {
      const group = group_of("line", index);
      geometry.line(svg, place(one.a), place(one.b), `${one.name}: ${scene.dataset.in}`, group);
      const [a, b] = [place(one.a), place(one.b)];
      body(make("line", { x1: a[0], y1: a[1], x2: b[0], y2: b[1], class: "body" }, group), "line", index);
    });
    if (draft?.points.length) {
      make("polyline", { points: draft.points.map(place).join(" "), class: "draft" });
      crossed = crossed || geometry.crossing(draft.points, false);
    }
    show_crossing(crossed);
    handles();
    if (focused) svg.querySelector(`[data-handle="${focused}"]`)?.focus();
    list.render();
    const bad = crossed !== null || list.invalid();
    root.querySelector("[data-do=undo]").disabled = !past.length && !draft;
    root.querySelector("[data-do=redo]").disabled = !future.length;
    root.querySelector("[data-do=save]").disabled = bad || JSON.stringify(drawn) === saved || Boolean(draft);
  }
  function group_of(sort, index) {
    return geometry.make("g", { class: chosen === key(sort, index) ? "chosen" : "" }, svg);
  }
  function show_crossing(crossed) {
    root.querySelector("[data-crossing]").hidden = crossed === null;
    if (!crossed) return;
    for (const [a, b] of crossed.edges) {
      const [p, q] = [place(a), place(b)];
      geometry.make("line", { x1: p[0], y1: p[1], x2: q[0], y2: q[1], class: "cross-edge" }, svg);
    }
    const [x, y] = place(crossed.at);
    geometry.make("circle", { cx: x, cy: y, r: 22, class: "cross" }, svg);
  }

  // Handles of 44 CSS pixels, whatever the picture's size; those of one thing at a time.
  function handles() {
    const unit = 1000 / (svg.getBoundingClientRect().width || 1000);
    const each = (sort, index, points, set, extra) => points.forEach((point, end) => {
      const [x, y] = place(point);
      const [name, between] = extra(end);
      const label = `${drawn[SORTS[sort]][index].name}, ${name} ${end + 1}`;
      const node = geometry.make("g", {
        class: between ? "handle between" : "handle", tabindex: 0, role: "button",
        "aria-label": label, "data-handle": `${sort}-${index}-${between ? "b" : "p"}${end}`,
      }, svg);
      geometry.make("circle", { cx: x, cy: y, r: 22 * unit, class: "hit" }, node);
      geometry.make("circle", { cx: x, cy: y, r: (between ? 7 : 9) * unit, class: "dot" }, node);
      set(node, end);
    });
    drawn.lines.forEach((one, index) => each("line", index, [one.a, one.b], (node, end) => {
      grab(node, (at) => { drawn.lines[index]["ab"[end]] = at; }, "line", index);
    }, () => [texts.end, false]));
    drawn.slots.forEach((one, index) => {
      const ends = [one.box.slice(0, 2), one.box.slice(2)];
      each("slot", index, ends, (node, end) => grab(node, ([x, y]) => {
        const box = drawn.slots[index].box;
        // A corner never passes the other one: a slot has an area.
        if (end) { box[2] = Math.max(x, box[0] + 0.01); box[3] = Math.max(y, box[1] + 0.01); }
        else { box[0] = Math.min(x, box[2] - 0.01); box[1] = Math.min(y, box[3] - 0.01); }
      }, "slot", index), () => [texts.corner, false]);
    });
    drawn.zones.forEach((one, index) => {
      const polygon = one.polygon;
      if (chosen === key("zone", index) && polygon.length < 64) {
        const middles = polygon.map((p, n) => {
          const q = polygon[(n + 1) % polygon.length];
          return [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
        });
        each("zone", index, middles, (node, end) => {
          const insert = () => change(() => drawn.zones[index].polygon.splice(end + 1, 0, middles[end]));
          node.addEventListener("pointerdown", (event) => { event.preventDefault(); event.stopPropagation(); insert(); });
          node.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); insert(); } });
        }, () => [texts.between, true]);
      }
      each("zone", index, polygon, (node, end) => {
        grab(node, (at) => { drawn.zones[index].polygon[end] = at; }, "zone", index);
        node.addEventListener("keydown", (event) => {
          if (event.key !== "Delete" && event.key !== "Backspace" || drawn.zones[index].polygon.length <= 3) return;
          event.preventDefault();
          change(() => drawn.zones[index].polygon.splice(end, 1));
        });
      }, () => [texts.corner, false]);
    });
  }

  function at_of(event) {
    const box = svg.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)];
  }
  // Drags with the finger or mouse that took it; one drag is one step of undo.
  function drag(event, move, sort, index) {
    if (mode !== "select" || event.button > 0) return;
    event.preventDefault();
    event.stopPropagation();
    const before = JSON.stringify(drawn), from = at_of(event);
    chosen = key(sort, index);
    geometry.follow(event, (e) => {
      drawn = JSON.parse(before);
      move(at_of(e), from);
      render();
    }, (e, taken) => {
      if (taken) drawn = JSON.parse(before);
      else if (JSON.stringify(drawn) !== before) { past.push(before); future = []; }
      changed();
    });
    render();
  }
  function grab(node, set, sort, index) {
    node.addEventListener("pointerdown", (event) => drag(event, (at) => set(at), sort, index));
    node.addEventListener("focus", () => { if (chosen !== key(sort, index)) { chosen = key(sort, index); render(); } });
    node.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      const step = event.shiftKey ? LARGE : STEP;
      const circle = node.querySelector(".dot");
      const [x, y] = share([Number(circle.getAttribute("cx")), Number(circle.getAttribute("cy"))]);
      change(() => set([clamp(x + way[0] * step), clamp(y + way[1] * step)]));
    });
  }
  function body(node, sort, index) {
    node.addEventListener("pointerdown", (event) => drag(event, (at, from) => {
      const one = drawn[SORTS[sort]][index];
      const points = sort === "line" ? [one.a, one.b] : sort === "zone" ? one.polygon : [one.box.slice(0, 2), one.box.slice(2)];
      // As far as all of it stays in the picture.
      const limit = (axis) => Math.min(1 - Math.max(...points.map((p) => p[axis])), Math.max(-Math.min(...points.map((p) => p[axis])), at[axis] - from[axis]));
      const by = [limit(0), limit(1)];
      const shifted = points.map((p) => [clamp(p[0] + by[0]), clamp(p[1] + by[1])]);
      if (sort === "line") [one.a, one.b] = shifted;
      else if (sort === "zone") one.polygon = shifted;
      else one.box = [...shifted[0], ...shifted[1]];
    }, sort, index));
  }

  // Drawing: drag a line or a slot (or tap both ends), tap a zone's corners one by one.
  function near(a, b) {
    const [p, q] = [place(a), place(b)];
    return Math.hypot(p[0] - q[0], p[1] - q[1]);
  }
  function finish(points) {
    draft = null;
    if (mode === "line") return add("line", { a: points[0], b: points[1] });
    if (mode === "zone") return add("zone", { polygon: points, analytics: ["occupancy"] });
    const xs = points.map((p) => p[0]).sort((a, b) => a - b), ys = points.map((p) => p[1]).sort((a, b) => a - b);
    add("slot", { box: [xs[0], ys[0], xs[1], ys[1]], expects: "" });
  }
  function draw_begin(event) {
    if (mode === "select" || event.button > 0) return;
    event.preventDefault();
    const at = at_of(event);
    if (mode === "zone") return zone_tap(at);
    if (draft) return finish_if_wide([draft.points[0], at]);
    draft = { points: [at] };
    geometry.follow(event, (e) => {
      if (draft) { draft.points[1] = at_of(e); render(); }
    }, (e, taken) => {
      if (!draft || taken) { draft = null; return render(); }
      const to = at_of(e);
      draft.points = near(draft.points[0], to) > TAP ? [draft.points[0], to] : [draft.points[0]];
      if (draft.points.length === 2) finish_if_wide(draft.points); else render();
    });
    render();
  }
  function finish_if_wide(points) {
    const [w, h] = [Math.abs(points[0][0] - points[1][0]), Math.abs(points[0][1] - points[1][1])];
    const enough = mode === "slot" ? Math.min(w, h) >= 0.01 : Math.max(w, h) >= 0.01;
    if (enough) finish(points); else { draft = null; render(); }
  }
  function zone_tap(at) {
    const points = draft ? draft.points : [];
    const closes = points.length >= 3 && near(points[0], at) < 40;
    if (closes) {
      // An area across itself is refused where it is drawn, with the place shown.
      if (!geometry.crossing(points, true)) return finish(points);
      return render();
    }
    if (points.length < 64) draft = { points: [...points, at] };
    render();
  }

  function setMode(next) {
    mode = next;
    draft = null;
    for (const button of root.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === next));
    hint.textContent = hint.dataset[next];
    render();
  }
  // A thing to begin with, for whoever draws with the keyboard: it is moved by its handles.
  function add_by_keyboard(sort) {
    if (sort === "line") add("line", { a: [0.3, 0.5], b: [0.7, 0.5] });
    if (sort === "zone") add("zone", { polygon: [[0.35, 0.35], [0.65, 0.35], [0.65, 0.65], [0.35, 0.65]], analytics: ["occupancy"] });
    if (sort === "slot") add("slot", { box: [0.4, 0.4, 0.6, 0.6], expects: "" });
    svg.querySelector(`[data-handle="${sort}-${drawn[SORTS[sort]].length - 1}-p0"]`)?.focus();
  }

  async function send(address) {
    const camera = encodeURIComponent(root.dataset.camera);
    const response = await fetch(`/zones/camera/${camera}${address}`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf-token": shopfloor.csrf },
      body: JSON.stringify({ ...drawn, base: root.dataset.base }),
    });
    if (response.status === 401) location.reload();
    return { ok: response.ok, told: await response.json() };
  }
  async function preview() {
    const number = ++asked;
    let answer;
    try { answer = await send("/preview"); } catch { return shopfloor.toast(texts.offline); }
    // A slower answer to an older drawing says nothing of this one.
    if (number !== asked) return;
    trial = answer.ok ? answer.told : null;
    problems(answer.told.problems || []);
    const minutes = trial ? Math.round(trial.span_s / 6) / 10 : 0;
    root.querySelector("[data-basis]").textContent = trial?.frames ? texts.basis.replace("{minutes}", minutes) : trial ? texts.noBasis : "";
    render();
  }
  function problems(lines) {
    root.querySelector("[data-problems]").replaceChildren(...lines.map((text) => {
      const note = document.createElement("p");
      note.className = "note warn";
      note.textContent = `⚠ ${text}`;
      return note;
    }));
  }
  async function save() {
    const button = root.querySelector("[data-do=save]");
    button.disabled = true;
    try {
      const answer = await send("");
      if (answer.ok) return location.reload();
      problems(answer.told.problems || [texts.offline]);
    } catch { shopfloor.toast(texts.offline); }
    button.disabled = false;
  }
  async function watch_trial() {
    try {
      const standing = await (await fetch("/zones/status")).json();
      if (!standing.tried) return location.reload();
    } catch { /* The bar above says that the console does not answer. */ }
    setTimeout(watch_trial, 1500);
  }

  function begin() {
    ({ svg, height } = geometry.overlay(scene));
    svg.removeAttribute("aria-hidden");
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", picture.alt);
    svg.onpointerdown = draw_begin;
    render();
  }
  for (const button of root.querySelectorAll("[data-mode]")) {
    button.addEventListener("click", (event) => {
      const sort = button.dataset.mode;
      // A click without a pointer is the keyboard's.
      if (event.detail === 0) return add_by_keyboard(sort);
      setMode(mode === sort ? "select" : sort);
    });
  }
  root.querySelector("[data-do=undo]").addEventListener("click", () => {
    if (draft) {
      draft = draft.points.length > 1 ? { points: draft.points.slice(0, -1) } : null;
      return render();
    }
    back(past, future);
  });
  root.querySelector("[data-do=redo]").addEventListener("click", () => back(future, past));
  root.querySelector("[data-do=save]").addEventListener("click", save);
  root.querySelector("[data-trails]").addEventListener("change", render);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return setMode("select");
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.matches("input")) return;
    event.preventDefault();
    if (event.shiftKey) back(future, past); else back(past, future);
  });
  window.addEventListener("resize", render);
  window.addEventListener("beforeunload", (event) => {
    if (past.length && !root.querySelector("[data-do=save]").disabled) event.preventDefault();
  });

  picture.addEventListener("load", begin);
  picture.addEventListener("error", begin);
  begin();
  preview();
  fetch(`/zones/camera/${encodeURIComponent(root.dataset.camera)}/trails`).then((r) => r.json())
    .then((told) => { trails = told.trails; render(); }).catch(() => {});
  if (root.dataset.triedNow === "yes") setTimeout(watch_trial, 1500);
})();
