// On every page: a new alert is heard, felt and, where permitted, shown by the device.
"use strict";

(() => {
  let context = null;
  const alarm = {
    get on() { return localStorage.getItem("shopfloor-sound") !== "off"; },
    set on(value) { localStorage.setItem("shopfloor-sound", value ? "on" : "off"); },
    play(severity) {
      if (!alarm.on || !context || context.state !== "running") return;
      const notes = { critical: [880, 660, 880, 660], warning: [660, 880], info: [660] }[severity];
      notes.forEach((pitch, place) => tone(pitch, context.currentTime + place * 0.22));
    },
  };
  function tone(pitch, at) {
    const oscillator = context.createOscillator();
    const gain = context.createGain();
    oscillator.type = "triangle";
    oscillator.frequency.value = pitch;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.5, at + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.001, at + 0.2);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(at);
    oscillator.stop(at + 0.21);
  }
  // Browsers let a page sound only after somebody has touched it.
  document.addEventListener("pointerdown", () => {
    context ||= new AudioContext();
    context.resume();
  });

  async function show(id) {
    if (!("Notification" in window) || Notification.permission !== "granted" || !document.hidden) return;
    const answer = await fetch("/now/said/" + encodeURIComponent(id));
    if (!answer.ok) return;
    const { title, text } = await answer.json();
    const options = { body: text, tag: id };
    const worker = await navigator.serviceWorker?.getRegistration();
    if (worker) worker.showNotification(title, options);
    else new Notification(title, options);
  }

  const ORDER = ["critical", "warning", "info"];
  document.body.addEventListener("live:alerts", ({ detail }) => {
    if (!detail.new.length || detail.quiet) return;
    const worst = ORDER.find((one) => detail.new.some((alert) => alert.severity === one || alert.escalated));
    alarm.play(worst);
    navigator.vibrate?.(worst === "critical" ? [300, 120, 300, 120, 300] : [200]);
    for (const alert of detail.new.slice(0, 3)) show(alert.id);
  });
  shopfloor.alarm = alarm;
})();
