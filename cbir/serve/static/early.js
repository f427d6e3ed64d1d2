// Buttons that are clicked before the scripts have come: they are clicked again as soon as these are there.

{
  const early = new Set();
  const note = ({ target }) => {
    const button = target.closest?.("button[type=button]");
    if (button) early.add(button);
  };
  addEventListener("click", note, true);
  addEventListener("DOMContentLoaded", () => {
    removeEventListener("click", note, true);
    for (const button of early) if (button.isConnected) button.click();
  });
}
