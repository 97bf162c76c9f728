// One clip of an audit: what is asked about is drawn over it, and two large buttons count.
"use strict";

(() => {
  const scene = document.querySelector("[data-drawn]");
  const picture = scene.querySelector("img");
  const draw = () => geometry.show(
    scene, JSON.parse(scene.dataset.drawn), scene.dataset.only, scene.dataset.in);
  picture.addEventListener("load", draw);
  if (picture.complete) draw();

  const replay = document.querySelector("[data-replay]");
  replay.addEventListener("click", () => {
    const { still, moving } = picture.dataset;
    if (still) {
      picture.src = picture.getAttribute("src") === still ? moving : still;
    } else {
      // The same address would go on where it is.
      picture.src = picture.src.split("#")[0] + "#" + Date.now();
    }
  });

  for (const button of document.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      const field = document.getElementById(button.dataset.for);
      const value = (parseInt(field.value, 10) || 0) + Number(button.dataset.step);
      field.value = Math.min(99, Math.max(0, value));
    });
  }
})();
