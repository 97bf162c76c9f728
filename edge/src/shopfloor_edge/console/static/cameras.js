// Asks once a second whether a picture is newer, and shows it. A hidden page asks for nothing, and
// then the device stops making pictures.
(() => {
  "use strict";
  const EVERY_MS = 1000;
  let asking = false;

  function show(card, camera) {
    if (card.dataset.cause !== camera.cause) return true;
    const image = card.querySelector("img[data-stamp]");
    if (!image) return camera.stamp !== 0;
    if (Number(image.dataset.stamp) !== camera.stamp) {
      image.dataset.stamp = camera.stamp;
      image.src = `/pictures/${card.dataset.camera}.jpg?at=${camera.stamp}`;
      const time = card.querySelector("[data-taken]");
      time.dateTime = new Date(camera.stamp).toISOString();
      shopfloor.times(card);
    }
    card.querySelector("[data-live]").hidden = !camera.live;
    card.querySelector("[data-old]").hidden = camera.live;
    return false;
  }

  async function look() {
    if (asking || document.hidden) return;
    asking = true;
    try {
      const answer = await fetch("/cameras/now");
      if (answer.status === 401) location.reload();
      if (!answer.ok) return;
      const cameras = await answer.json();
      const cards = [...document.querySelectorAll("[data-camera]")];
      const changed = cards.filter((card) => cameras[card.dataset.camera] && show(card, cameras[card.dataset.camera]));
      if (changed.length) window.htmx?.trigger("#cameras", "refresh");
    } catch {
      // The frame says that the page is not live.
    } finally {
      asking = false;
    }
  }

  setInterval(look, EVERY_MS);
  document.addEventListener("visibilitychange", look);
  look();
})();
