// The console works without this: here are the viewer's clock, live figures and the preview.
"use strict";

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.textContent = clock.format(new Date(time.dateTime));
  }
}

const visible = () =>
  document.hidden
    ? new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }))
    : Promise.resolve();
const pause = (ms) => new Promise((go) => setTimeout(go, ms));

function show(live, html) {
  const folds = [...live.querySelectorAll("details")].map((d) => [d.id, d.open]);
  const focus = live.contains(document.activeElement) ? document.activeElement.id : "";
  live.innerHTML = html;
  for (const [id, open] of folds) document.getElementById(id)?.toggleAttribute("open", open);
  if (focus) document.getElementById(focus)?.focus();
  localTimes(live);
  const said = document.getElementById("said");
  const sentence = live.querySelector("[data-sentence]").textContent;
  if (said.textContent !== sentence) said.textContent = sentence;
}

async function follow(live) {
  let tag = live.dataset.tag;
  while (!live.querySelector("[data-over]")) {
    await visible();
    try {
      const answer = await fetch(live.dataset.live + "?wait_s=20", {
        headers: { "If-None-Match": tag, Fragment: "1" },
        cache: "no-store",
      });
      if (answer.status === 401) return location.reload();
      if (answer.status === 200) {
        tag = answer.headers.get("etag");
        show(live, await answer.text());
      }
      live.classList.toggle("stale", answer.status >= 400);
      // Whatever the server does, it is not asked more than this often.
      await pause(answer.status >= 400 ? 5000 : 300);
    } catch {
      live.classList.add("stale");
      await pause(5000);
    }
  }
}

function preview(place) {
  const inputs = [...document.querySelectorAll("[data-match]")];
  let waiting = 0;
  const ask = async () => {
    const query = new URLSearchParams(inputs.map((input) => [input.name, input.value]));
    const mine = ++waiting;
    await pause(250);
    if (mine !== waiting) return;
    const answer = await fetch(place.dataset.url + "?" + query, { headers: { Fragment: "1" } });
    if (answer.ok && mine === waiting) place.innerHTML = await answer.text();
  };
  for (const input of inputs) input.addEventListener("input", ask);
  ask();
}

localTimes(document);
const live = document.getElementById("live");
if (live) follow(live);
const match = document.getElementById("match");
if (match) preview(match);
