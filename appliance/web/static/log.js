// Puts new lines of the log on top as they come. A page nobody looks at holds no connection; what came meanwhile comes with the next one.
const LINES = 1000;
const log = document.querySelector("[data-log]");
if (log) {
  const place = new URL(log.dataset.log, location.href);
  let events;
  const open = () => {
    events = new EventSource(place);
    events.onmessage = (event) => {
      place.searchParams.set("since", event.lastEventId);
      const lines = JSON.parse(event.data).reverse();
      const kept = log.textContent.split("\n").slice(0, LINES - lines.length);
      log.textContent = [...lines, ...kept].join("\n");
    };
  };
  document.addEventListener("visibilitychange", () => {
    events?.close();
    if (!document.hidden) open();
  });
  addEventListener("pagehide", () => events?.close());
  open();
}
