// Once somebody has allowed notices: the browser is told of alerts while no page of ours is open.
"use strict";

(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  async function subscribe() {
    if (!("PushManager" in window) || Notification.permission !== "granted") return;
    const answer = await fetch("/push/key");
    if (!answer.ok) return;
    const { key } = await answer.json();
    const worker = await navigator.serviceWorker.ready;
    let mine = await worker.pushManager.getSubscription();
    const known = mine?.options.applicationServerKey;
    if (mine && known && text(known) !== key) {
      await mine.unsubscribe();
      mine = null;
    }
    mine ||= await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
    if (localStorage.getItem("shopfloor-push") === mine.endpoint) return;
    const told = await fetch("/push", {
      method: "POST",
      headers: { "X-CSRF-Token": shopfloor.csrf },
      body: new URLSearchParams({
        endpoint: mine.endpoint, p256dh: text(mine.getKey("p256dh")), auth: text(mine.getKey("auth")),
      }),
    });
    if (told.ok) localStorage.setItem("shopfloor-push", mine.endpoint);
  }

  const quietly = () => subscribe().catch(() => {});
  quietly();
  navigator.permissions?.query({ name: "notifications" }).then((state) => {
    state.onchange = quietly;
  }).catch(() => {});
})();
