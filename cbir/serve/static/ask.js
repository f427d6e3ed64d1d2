// Pictures that are brought: dropped anywhere, pasted, chosen, photographed. Each is uploaded, then asked for.

import { say } from "./dom.js";
import { json } from "./problem.js";
import { fail, go, uncover } from "./view.js";

/** Examples at the most. */
const MOST = 16;

export function begin() {
  const over = document.querySelector(".dropping");
  let inside = 0;
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    inside += 1;
    over.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!carries(event)) return;
    inside = Math.max(0, inside - 1);
    over.hidden = inside === 0;
  });
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    inside = 0;
    over.hidden = true;
    bring(event.dataTransfer.files, "q");
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    bring(files, "q");
  });
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (input.type !== "file") return;
    bring(input.files, input.dataset.as);
    input.value = "";
  });
}

/** Upload pictures, and ask for them: as the query, further ones as examples. */
async function bring(files, as) {
  const pictures = [...files].slice(0, MOST);
  if (!pictures.length) return;
  uncover();
  document.body.classList.add("waiting");
  say("The picture is being read");
  try {
    const asked = new URLSearchParams(location.search);
    asked.delete("offset");
    if (as === "q") for (const name of ["q", "box", "like", "unlike", "max"]) asked.delete(name);
    for (const picture of pictures) {
      const form = new FormData();
      form.append("image", picture);
      const { id } = await json("/api/uploads", { method: "POST", body: form });
      if (as === "q" && !asked.has("q")) asked.set("q", `up:${id}`);
      else asked.append("like", `up:${id}`);
    }
    await go(`?${asked}`);
  } catch (error) {
    fail(error.message);
  } finally {
    document.body.classList.remove("waiting");
  }
}
