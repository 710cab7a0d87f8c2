/* The attachments of a message: listed, looked at when the browser can show them safely, saved one by one or in one file. */

import { _, counted, h, icon, size } from "./dom.js"
import { MethodError, request, shown as place } from "./jmap.js"

const SHOWN_INSIDE = /^(image\/|text\/(plain|html)$)/
const IMAGE = /^image\/(png|jpe?g|gif|webp|avif|bmp)$/

/** Parts a reader calls attachments: not what the text shows itself. */
export function attachmentsOf(email) {
  const shown = new Set(email.htmlBody.filter((part) => SHOWN_INSIDE.test(part.type)).map((part) => part.partId))
  const others = email.htmlBody.filter((part) => !SHOWN_INSIDE.test(part.type))
  return [...email.attachments.filter((part) => !shown.has(part.partId) && !(part.cid && part.disposition === "inline")), ...others]
}

const nameOf = (part) => part.name || (part.type === "message/rfc822" ? _("message.eml") : _("without a name"))

export function attachmentList(email) {
  const parts = attachmentsOf(email)
  if (!parts.length) return h("div", { hidden: true })
  const items = parts.map((part) => item(part))
  sizes(email, items)
  return h("section", { className: "attachments", "aria-label": _("Attachments") },
    h("h2", {}, counted("%(number)s attachment", "%(number)s attachments", parts.length)),
    h("ul", {}, items.map(({ element }) => element)),
    parts.length > 1 ? h("p", {}, h("a", { className: "button quiet", href: `/mail/zip/${place.account}/${email.id}`, download: "attachments.zip" }, icon("save"), _("Save all in one file"))) : null)
}

function item(part) {
  const name = nameOf(part)
  const octets = h("span", { className: "dim" })
  const saved = `/jmap/download/${place.account}/${part.blobId}/${encodeURIComponent(name.replace(/[/\\]/g, "_"))}`
  const looked = IMAGE.test(part.type) || part.type === "application/pdf" || part.type === "text/plain"
  const element = h("li", {},
    icon(IMAGE.test(part.type) ? "image" : "file"),
    looked ? h("button", { type: "button", className: "name", onclick: () => look(part, name, saved) }, name) : h("span", { className: "name" }, name),
    octets,
    h("a", { className: "icon-button", href: saved, download: name, title: _("Save"), "aria-label": _("Save %(name)s", { name }) }, icon("save")))
  return { element, octets, part }
}

/** How large each is takes reading them, so it is asked for when the message is on the screen. */
async function sizes(email, items) {
  const [got] = await request([["Email/get", { ids: [email.id], properties: ["attachments", "htmlBody"], bodyProperties: ["partId", "size"] }]], { account: place.account }).catch(() => [null])
  if (!got || got instanceof MethodError || !got.list.length) return
  const known = new Map([...got.list[0].attachments, ...got.list[0].htmlBody].map((part) => [part.partId, part.size]))
  for (const { octets, part } of items) octets.textContent = known.has(part.partId) ? size(known.get(part.partId)) : ""
}

/** In a dialog: an image as such; a PDF in a frame, which must not be sandboxed or browsers show nothing; text in a frame. */
function look(part, name, saved) {
  const charset = part.charset ? `?charset=${encodeURIComponent(part.charset)}` : ""
  const src = `/mail/preview/${place.account}/${part.blobId}${charset}`
  const view = IMAGE.test(part.type) ? h("img", { src, alt: name }) : h("iframe", { src, title: name, ...(part.type === "application/pdf" ? {} : { sandbox: "" }) })
  const dialog = h("dialog", { className: "look", "aria-label": name, onclose: () => dialog.remove() },
    h("form", { method: "dialog" },
      h("h2", {}, name),
      h("p", { className: "buttons" }, h("button", {}, _("Close")), h("a", { className: "button quiet", href: saved, download: name }, _("Save")))),
    view)
  document.body.append(dialog)
  dialog.showModal()
}
