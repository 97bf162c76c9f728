// The list of alerts follows the book; what was open or in focus stays so.
"use strict";

(() => {
  let touched = 0, waiting = 0;
  const HOLD_MS = 600; // A list that moves under a finger is tapped wrongly.

  document.addEventListener("pointerdown", () => { touched = Date.now(); });
  function refresh() {
    clearTimeout(waiting);
    const held = HOLD_MS - (Date.now() - touched);
    if (held > 0) waiting = setTimeout(refresh, held);
    else htmx.trigger("#alerts", "refresh");
  }
  document.body.addEventListener("live:alerts", refresh);
  document.body.addEventListener("live:again", refresh);

  let open = [], focus = "";
  document.addEventListener("htmx:beforeSwap", (event) => {
    const list = document.getElementById("alerts");
    if (event.detail.target !== list) return;
    open = [...list.querySelectorAll("details[open]")].map((one) => one.id);
    focus = list.contains(document.activeElement) ? document.activeElement.id : "";
  });
  document.addEventListener("htmx:afterSettle", () => {
    const list = document.getElementById("alerts");
    for (const id of open) document.getElementById(id)?.toggleAttribute("open", true);
    if (focus) (document.getElementById(focus) || document.getElementById("main")).focus();
    open = [];
    focus = "";
    const sentence = list.querySelector("[data-sentence]")?.textContent.trim().replace(/\s+/g, " ");
    const said = document.getElementById("said");
    if (said.textContent !== sentence) said.textContent = sentence;
    shopfloor.times(list);
  });

  const sound = document.getElementById("sound");
  function label() {
    sound.textContent = shopfloor.alarm.on ? sound.dataset.on : sound.dataset.off;
    sound.setAttribute("aria-pressed", shopfloor.alarm.on);
  }
  sound.hidden = false;
  label();
  sound.addEventListener("click", () => {
    shopfloor.alarm.on = !shopfloor.alarm.on;
    label();
    if (shopfloor.alarm.on) shopfloor.alarm.play("info");
  });

  const ask = document.getElementById("ask");
  ask.hidden = !("Notification" in window) || Notification.permission !== "default";
  document.getElementById("ask-notices").addEventListener("click", async () => {
    await Notification.requestPermission();
    ask.hidden = Notification.permission !== "default";
  });
})();
