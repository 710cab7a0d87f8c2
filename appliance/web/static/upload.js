// Sends a file in parts, so that it goes on after a broken connection; follows mail that is being brought in. Without scripts the form
// sends the whole file at once, and the page is loaded anew by hand.
const PART = 4 * 2 ** 20;
const PAUSE_MS = 3000;
const TRIES = 200;

const form = document.querySelector("form[data-upload]");
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const file = form.elements.file.files[0];
  if (file) send(file);
});

async function send(file) {
  const bar = form.querySelector("progress");
  const status = form.querySelector("[role=status]");
  const button = form.querySelector("button");
  const say = (text) => {
    status.textContent = text;
  };
  if (file.size > Number(form.dataset.room)) return say(form.dataset.tooLarge);
  button.disabled = true;
  say("");
  let place = "";
  let offset = 0;
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      if (!place) {
        const body = new URLSearchParams({ name: file.name, octets: file.size, stamp: file.lastModified });
        ({ place, offset } = await ask(form.dataset.upload, { method: "POST", body }));
      } else {
        ({ offset } = await ask(place, {}));
      }
      bar.hidden = false;
      say("");
      while (offset < file.size) {
        bar.value = offset / file.size;
        const body = file.slice(offset, offset + PART);
        ({ offset } = await ask(place, { method: "PATCH", body, headers: { "Upload-Offset": offset } }));
        tries = 0;
      }
      location.reload();
      return;
    } catch (fault) {
      if (fault.detail !== undefined) {
        button.disabled = false;
        say(fault.detail);
        return;
      }
      say(form.dataset.broken);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
  button.disabled = false;
  say(form.dataset.failed);
}

// The answer's facts. Throws { detail } for a refusal, anything else for a broken connection or a server that cannot just now.
async function ask(place, options) {
  const headers = { Accept: "application/json", "X-Form-Token": form.elements.token.value, ...options.headers };
  const response = await fetch(place, { ...options, headers });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  if (response.status >= 500 && response.status !== 507) throw new Error(String(response.status));
  if (response.status === 409) throw new Error("go on elsewhere");
  throw { detail: problem.detail ?? form.dataset.failed };
}

const running = document.querySelector('[data-import][data-state="running"]');
if (running) {
  const look = async () => {
    if (!document.hidden) {
      const response = await fetch(running.dataset.import, { headers: { Accept: "application/json" } }).catch(() => undefined);
      const facts = response?.ok ? await response.json() : { state: response ? "gone" : "running" };
      if (facts.state !== "running") return location.reload();
      for (const place of running.querySelectorAll("[data-figure]")) place.textContent = facts[place.dataset.figure] ?? place.textContent;
    }
    setTimeout(look, PAUSE_MS / 2);
  };
  look();
}
