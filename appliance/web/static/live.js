// Fills in the figures of a page as they change; loads it anew when other conditions hold. Without scripts the page stays as it was.
const list = document.querySelector("[data-live]");
if (list) {
  let events;
  const open = () => {
    events = new EventSource(list.dataset.live);
    events.onmessage = (event) => {
      const figures = JSON.parse(event.data);
      if (figures.shape !== list.dataset.shape) {
        location.reload();
        return;
      }
      for (const place of list.querySelectorAll("[data-figure]")) {
        const value = figures[place.dataset.figure];
        if (value !== undefined && place.textContent !== value) place.textContent = value;
      }
    };
  };
  // A page nobody looks at holds no connection.
  document.addEventListener("visibilitychange", () => {
    events?.close();
    if (!document.hidden) open();
  });
  addEventListener("pagehide", () => events?.close());
  open();
}
