// The frame's menus: Escape and a click elsewhere close them; of the pages, the one that is open is in view.

const menus = () => document.querySelectorAll("details.chooser[open]");

document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.stopPropagation();
  }
});

const here = document.querySelector(".bar nav [aria-current]");
if (here) {
  const list = here.closest("ul");
  const [around, own] = [list.getBoundingClientRect(), here.getBoundingClientRect()];
  list.scrollLeft += own.left + own.width / 2 - around.left - around.width / 2;
}
