// Pictures that are brought to a page: dropped anywhere, pasted, chosen or photographed; and uploaded.

import { json } from "./problem.js";

/** Tell `bring` of pictures as they come: the files, and what the field that they were chosen in says they are for. */
export function begin(bring) {
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
    bring(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    bring(files);
  });
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (input.type !== "file") return;
    bring(input.files, input.dataset.as);
    input.value = "";
  });
}

/** Upload a picture; return its id, which is good for the server's life. */
export async function upload(picture) {
  const form = new FormData();
  form.append("image", picture);
  return (await json("/api/uploads", { method: "POST", body: form })).id;
}
