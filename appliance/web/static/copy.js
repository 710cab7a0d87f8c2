// A button beside each text that is to be entered elsewhere: copies it. Without scripts, or where a browser refuses, it is selected by hand.
for (const text of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.setAttribute("aria-live", "polite");
  button.textContent = text.dataset.copy;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = text.dataset.copied;
      setTimeout(() => (button.textContent = text.dataset.copy), 2000);
    } catch {
      getSelection().selectAllChildren(text);
    }
  });
  text.after(button);
}
