// Elements, in few words.

export const byId = (id) => document.getElementById(id);

/** Make an element: its attributes, and its children, which are elements or text. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** The collection that the page is about. */
export const collection = () => document.querySelector("[data-collection]").dataset.collection;

/** Tell a screen reader, and nobody else. */
export function say(text) {
  byId("said").textContent = text;
}
