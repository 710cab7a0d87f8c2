/* The keys there are, in a dialog, with a switch for those who do not want single keys (WCAG 2.1.4). */

import { _, ask, h } from "./dom.js"

const SHOWN = { " ": "Space", Escape: "Esc" }

export async function showKeys(keys) {
  const off = localStorage.getItem("keys") === "off"
  const box = h("input", { type: "checkbox", checked: !off })
  const rows = Object.entries(keys).map(([key, [label]]) => [h("dt", {}, h("kbd", {}, SHOWN[key] ?? key)), h("dd", {}, label())])
  const body = h("div", {},
    h("dl", { className: "keys" }, rows),
    h("p", {}, _("In the list: arrows, Page up and down, Home and End move; Space selects, with Shift several; Enter opens.")),
    h("label", { className: "choice" }, box, _("Single keys do these things")))
  await ask(_("Keyboard"), body, [], _("Close"))
  localStorage.setItem("keys", box.checked ? "on" : "off")
}
