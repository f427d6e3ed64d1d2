// A picture dragged with a mouse onto an area beside the question: one more example. The marks on it do the same.

export function begin() {
  const onto = document.querySelector(".onto");
  const areas = [...onto.children];
  let hit = null;
  document.addEventListener("dragstart", (event) => {
    hit = event.target.closest?.(".hit .picture")?.closest(".hit") ?? null;
    if (!hit) return;
    hit.addEventListener("dragend", end, { once: true }); // an answer may take it off the page
    const picture = hit.querySelector("img");
    if (picture) event.dataTransfer.setDragImage(picture, 20, 20);
    for (const area of areas) area.hidden = !markFor(area);
    requestAnimationFrame(() => (onto.hidden = !hit)); // a browser ends a drag whose page changes at once
  });
  const markFor = ({ dataset: { mark } }) => !hit.classList.contains(`${mark}d`) && hit.querySelector(`.marks .${mark}`);
  onto.addEventListener("dragover", (event) => {
    const area = event.target.closest("[data-mark]");
    for (const each of areas) each.classList.toggle("over", each === area);
    if (hit && area) event.preventDefault();
  });
  onto.addEventListener("dragleave", () => areas.forEach((each) => each.classList.remove("over")));
  onto.addEventListener("drop", (event) => {
    const area = event.target.closest("[data-mark]");
    if (!hit || !area) return;
    event.preventDefault();
    markFor(area)?.click();
  });
  function end() {
    hit = null;
    onto.hidden = true;
    areas.forEach((each) => each.classList.remove("over"));
  }
}
