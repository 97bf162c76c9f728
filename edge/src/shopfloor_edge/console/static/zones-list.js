// The list beside the drawing: names, directions, what is computed, and what the trial says.
"use strict";

// `page` gives what is drawn, what is chosen and what the trial said, and takes changes.
const zone_list = (root, texts, page) => {
  const SORTS = { line: "lines", zone: "zones", slot: "slots" };
  const SLUG = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
  function invalid() {
    return Object.keys(SORTS).some((sort) => {
      const names = page.drawn()[SORTS[sort]].map((one) => one.name);
      return names.some((name, n) => !SLUG.test(name) || names.indexOf(name) !== n);
    });
  }
  let listed = "";
  function render() {
    const drawn = page.drawn();
    const shape = JSON.stringify(Object.keys(SORTS).map((sort) => drawn[SORTS[sort]].length)) + page.steps();
    const things = root.querySelector("[data-things]");
    if (shape !== listed && !things.contains(document.activeElement)) {
      listed = shape;
      things.replaceChildren();
      for (const sort of Object.keys(SORTS)) drawn[SORTS[sort]].forEach((_, index) => things.append(item(sort, index)));
    }
    root.querySelector("[data-empty]").hidden = things.children.length > 0;
    for (const node of things.children) {
      const { sort, index } = node.dataset, one = drawn[SORTS[sort]][index];
      if (!one) continue;
      node.classList.toggle("chosen", page.chosen(sort, index));
      node.querySelector("[data-name]").setAttribute("aria-invalid", String(!SLUG.test(one.name)));
      node.querySelector("[data-trial]").textContent = told(sort, one.name);
    }
  }
  function told(sort, name) {
    const trial = page.trial();
    const figures = trial?.[SORTS[sort]]?.[name];
    if (!figures || !trial.frames) return "";
    return texts[sort === "line" ? "countedLine" : "countedZone"].replace(/\{(\w+)\}/g, (_, which) => figures[which]);
  }
  function item(sort, index) {
    const node = document.getElementById("thing").content.cloneNode(true).firstElementChild;
    const one = page.drawn()[SORTS[sort]][index];
    node.dataset.sort = sort;
    node.dataset.index = index;
    node.querySelector("[data-sort]").textContent = texts[`sort${sort[0].toUpperCase()}${sort.slice(1)}`];
    for (const part of node.querySelectorAll("[data-of]")) part.hidden = part.dataset.of !== sort;
    const name = node.querySelector("[data-name]");
    name.value = one.name;
    name.addEventListener("change", () => page.change((drawn) => { drawn[SORTS[sort]][index].name = name.value.trim().toLowerCase(); }));
    node.querySelector("[data-remove]").addEventListener("click", () => {
      document.activeElement.blur();
      page.choose(null);
      page.change((drawn) => drawn[SORTS[sort]].splice(index, 1));
    });
    if (sort === "line") node.querySelector("[data-flip]").addEventListener("click", () => page.change((drawn) => {
      const line = drawn.lines[index];
      [line.a, line.b] = [line.b, line.a];
    }));
    if (sort === "zone") for (const box of node.querySelectorAll("[data-analytic]")) {
      box.checked = one.analytics.includes(box.value);
      box.addEventListener("change", () => page.change((drawn) => {
        drawn.zones[index].analytics = [...node.querySelectorAll("[data-analytic]:checked")].map((b) => b.value);
      }));
    }
    if (sort === "slot") {
      const expects = node.querySelector("[data-expects]");
      expects.value = one.expects;
      expects.addEventListener("change", () => page.change((drawn) => { drawn.slots[index].expects = expects.value.trim(); }));
    }
    node.addEventListener("focusin", () => page.choose(sort, index));
    return node;
  }

  return { render, invalid };
};
