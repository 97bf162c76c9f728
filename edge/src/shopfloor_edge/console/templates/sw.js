// Shows a page of its own while the device cannot be reached; nothing else is ever kept.
"use strict";

const KEPT = "shopfloor-offline";
const FILES = ["/offline", "{{ static("shopfloor.css") }}", "{{ static("icon.svg") }}"];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)));
});
self.addEventListener("activate", (event) => {
  event.waitUntil(self.clients.claim());
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode === "navigate") {
    event.respondWith(fetch(request).catch(() => caches.match("/offline")));
  } else if (FILES.some((file) => request.url.endsWith(file))) {
    event.respondWith(fetch(request).catch(() => caches.match(request)));
  }
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(self.clients.matchAll({ type: "window" }).then((pages) => (
    pages.length ? pages[0].focus() : self.clients.openWindow("/")
  )));
});
