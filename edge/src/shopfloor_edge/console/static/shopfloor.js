// On every page: forms' tokens, times, and a connection that says when it is not live.
"use strict";

const shopfloor = (() => {
  const body = document.body;
  const language = document.documentElement.lang;
  const csrf = document.querySelector("meta[name=csrf]").content;
  const SILENCE_MS = 11000; // The server says something every four seconds.
  const AGAIN_MS = 2000;

  // Relative times: <time datetime data-ago>.
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "long" });
  const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60]];
  function ago(at) {
    const seconds = (Date.now() - at) / 1000;
    for (const [unit, size] of STEPS) {
      if (seconds >= size) return relative.format(-Math.floor(seconds / size), unit);
    }
    return relative.format(0, "minute");
  }
  function times(root) {
    for (const time of root.querySelectorAll("time[data-ago]")) {
      time.textContent = ago(new Date(time.dateTime));
    }
  }

  let toastTimer = 0;
  function toast(text) {
    const place = document.getElementById("toast");
    place.textContent = text;
    place.hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => { place.hidden = true; }, 6000);
  }

  // Pages listen with addEventListener("live:NAME") or hx-trigger="live:NAME from:body".
  let source = null, opened = 0, heard = 0, lost = 0;
  function state(value) {
    if (body.dataset.live === value) return;
    body.dataset.live = value;
    const bar = document.querySelector(".stale-bar");
    bar.hidden = value !== "no";
    if (value === "no") {
      lost = lost || heard || Date.now();
      const at = new Date(lost).toLocaleTimeString(language, { timeStyle: "short" });
      bar.textContent = bar.dataset.text.replace("{at}", at);
    } else if (value === "yes" && lost) {
      lost = 0;
      tell("again", {});
    }
  }
  function tell(name, detail) {
    body.dispatchEvent(new CustomEvent("live:" + name, { detail, bubbles: true }));
  }
  function count(detail) {
    for (const place of document.querySelectorAll("[data-count]")) {
      place.textContent = detail.open > 99 ? "99+" : detail.open;
      place.hidden = !detail.open;
    }
    for (const place of document.querySelectorAll("[data-waiting]")) {
      const text = detail.open === 1 ? place.dataset.one : place.dataset.other;
      place.textContent = text.replace("{count}", detail.open);
      place.hidden = !detail.open;
    }
  }
  function connect() {
    source?.close();
    opened = Date.now();
    source = new EventSource("/live");
    const take = (name) => (event) => {
      heard = Date.now();
      state("yes");
      if (name === "over") return location.reload();
      const detail = JSON.parse(event.data);
      if (name === "alerts") count(detail);
      if (name !== "beat") tell(name, detail);
    };
    for (const name of ["beat", "alerts", "figures", "over"]) source.addEventListener(name, take(name));
    source.onerror = () => state("no");
  }
  function watch() {
    // A network that went away closes nothing: silence has to be noticed.
    if (Date.now() - heard > SILENCE_MS) state("no");
    const stuck = source.readyState === EventSource.CLOSED || Date.now() - opened > SILENCE_MS;
    if (body.dataset.live === "no" && stuck && !document.hidden) connect();
  }

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = csrf;
  });
  document.addEventListener("htmx:afterSwap", (event) => times(event.target));
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401) location.reload();
    else toast(body.dataset.refused);
  });
  document.addEventListener("htmx:sendError", () => state("no"));
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(".menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  times(document);
  setInterval(() => times(document), 15000);
  const here = document.querySelector(".rail [aria-current]");
  if (here) here.parentElement.scrollLeft = here.offsetLeft - here.offsetWidth;
  // Browsers offer this over HTTPS and on the machine itself only.
  navigator.serviceWorker?.register("/sw.js").catch(() => {});
  if (body.dataset.live) {
    heard = Date.now();
    connect();
    setInterval(watch, AGAIN_MS);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) watch(); });
  }
  return { csrf, toast, times, ago, language };
})();
