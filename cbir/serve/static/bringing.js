// Pictures that are brought to a page: dropped anywhere, pasted, chosen or photographed; and uploaded.

import { json } from "./problem.js";

/** Tell `bring` of pictures as they come: the files, and what the field that they were chosen in says they are for. */
export function begin(bring) {
  const over = document.querySelector(".dropping");
  /** What the file is over: an element and those that it came from, until they are left or taken off the page. */
  const inside = new Set();
  const show = () => {
    for (const each of inside) if (!each.isConnected) inside.delete(each);
    over.hidden = !inside.size;
  };
  let turn = Promise.resolve();
  // One after the other: what is brought last is what is asked for in the end.
  const next = (files, as) => {
    const all = [...files];
    turn = turn.finally(() => bring(all, as));
  };
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    inside.add(event.target);
    show();
  });
  addEventListener("dragleave", (event) => {
    if (!carries(event)) return;
    inside.delete(event.target);
    show();
  });
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    inside.clear();
    show();
    next(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    next(files);
  });
  const chosen = (input) => {
    next(input.files, input.dataset.as);
    input.value = "";
  };
  document.addEventListener("change", ({ target }) => target.type === "file" && chosen(target));
  for (const input of document.querySelectorAll("input[type=file]")) if (input.files.length) chosen(input); // before this script came
}

/** Upload a picture; return its id, which is good for the server's life. */
export async function upload(picture) {
  const form = new FormData();
  form.append("image", picture);
  return (await json("/api/uploads", { method: "POST", body: form })).id;
}
