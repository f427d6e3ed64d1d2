// Pictures that are brought to search with: each is uploaded, then asked for.

import { begin as brought, upload } from "./bringing.js";
import { say } from "./dom.js";
import { fail, go, uncover } from "./view.js";

/** Examples at the most. */
const MOST = 16;

export function begin() {
  brought(bring);
}

/** Upload pictures, and ask for them: as the query, further ones as examples. */
async function bring(files, as = "q") {
  const pictures = [...files].slice(0, MOST);
  if (!pictures.length) return;
  uncover();
  document.body.classList.add("waiting");
  say("The picture is being read");
  try {
    const ids = [];
    for (const picture of pictures) ids.push(await upload(picture));
    const asked = new URLSearchParams(location.search); // as it is by now
    asked.delete("offset");
    if (as === "q") for (const name of ["q", "box", "like", "unlike", "max"]) asked.delete(name);
    for (const id of ids) {
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
