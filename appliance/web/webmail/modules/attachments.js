/* The attachments of a message: listed, looked at when the browser can show them safely, saved one by one or in one file. */

import { _, counted, h, icon, plain, size } from "./dom.js"
import { MethodError, request, shown as place } from "./jmap.js"

const PICTURE = /^image\/(png|p?jpeg|jpg|gif|webp|avif|bmp)$/
const MOST_NAME = 120
/** Of more than MANY, FEW are listed until the others are asked for: thousands take the browser seconds. */
const MANY = 60
const FEW = 40
export const isText = (part) => part.type === "text/plain" || part.type === "text/html"

/** The same as `is_picture` in raster.py: the message's document shows it. */
export const isPicture = (part) => PICTURE.test(part.type) && Boolean(part.cid) && part.disposition === "inline"

const isPdf = ({ type, name }) => type === "application/pdf" || (type === "application/octet-stream" && /\.pdf$/i.test(name ?? ""))

/** Parts a reader calls attachments: not what the message's document shows. */
export function attachmentsOf(email) {
  const shown = new Set(email.htmlBody.filter((part) => isText(part) || PICTURE.test(part.type)).map((part) => part.partId))
  const isShown = (part) => shown.has(part.partId) || isPicture(part)
  const listed = [...email.attachments, ...email.htmlBody].filter((part) => !isShown(part))
  return [...new Map(listed.map((part) => [part.partId, part])).values()]
}

/** As it can be saved: one line, no path, no dots at its ends, and as long as a request may be (the server does the same, `file_names`). */
function nameOf(part) {
  const name = [...plain(part.name, "_").replace(/[/\\]/g, "_").replace(/\s+/g, " ").replace(/^[. ]+|[. ]+$/g, "")]
  const fits = name.length > MOST_NAME ? [...name.slice(0, MOST_NAME - 21), "~", ...name.slice(-20)] : name
  return fits.join("") || { "message/rfc822": _("message.eml"), "text/calendar": _("calendar.ics") }[part.type] || _("without a name")
}

export function attachmentList(email) {
  const parts = attachmentsOf(email)
  if (!parts.length) return h("div", { hidden: true })
  return h("section", { className: "attachments", "aria-label": _("Attachments") },
    h("h2", {}, counted("%(number)s attachment", "%(number)s attachments", parts.length)),
    listOf(parts, sizesOf(email)),
    parts.length > 1 ? h("p", {}, h("a", { className: "button quiet", href: `/mail/zip/${place.account}/${email.id}`, download: "attachments.zip" }, icon("save"), _("Save all in one file"))) : null)
}

function listOf(parts, sizes) {
  const list = h("ul")
  const show = (some) => {
    const items = some.map(item)
    list.append(...items.map(({ element }) => element))
    sizes.then((known) => { for (const { octets, part } of items) octets.textContent = known.has(part.partId) ? size(known.get(part.partId)) : "" })
  }
  show(parts.slice(0, parts.length > MANY ? FEW : MANY))
  const rest = parts.slice(list.children.length)
  if (!rest.length) return list
  const more = h("button", { type: "button", className: "quiet", onclick: () => {
    const last = list.lastChild
    show(rest)
    more.remove()
    last.nextSibling.querySelector("button, a").focus()
  } }, counted("Show %(number)s more file", "Show %(number)s more files", rest.length))
  return [list, h("p", {}, more)]
}

function item(part) {
  const name = nameOf(part)
  const octets = h("span", { className: "dim" })
  const saved = `/jmap/download/${place.account}/${part.blobId}/${encodeURIComponent(name)}`
  const looked = PICTURE.test(part.type) || isPdf(part) || (part.type.startsWith("text/") && part.type !== "text/html")
  const element = h("li", {},
    icon(PICTURE.test(part.type) ? "image" : "file"),
    looked ? h("button", { type: "button", className: "name", onclick: () => look(part, name, saved) }, name) : h("span", { className: "name" }, name),
    octets,
    h("a", { className: "icon-button", href: saved, download: name, title: _("Save"), "aria-label": _("Save %(name)s", { name }) }, icon("save")))
  return { element, octets, part }
}

/** How large each part is takes reading them, so it is asked for when the message is on the screen. */
async function sizesOf(email) {
  const [got] = await request([["Email/get", { ids: [email.id], properties: ["attachments", "htmlBody"], bodyProperties: ["partId", "size"] }]], { account: place.account }).catch(() => [null])
  const found = got && !(got instanceof MethodError) ? got.list[0] : null
  return new Map(found ? [...found.attachments, ...found.htmlBody].map((part) => [part.partId, part.size]) : [])
}

/** In a dialog: an image as such; a PDF in a frame, which must not be sandboxed or browsers show nothing; text in a frame. The server looks
at what it is: in a frame it says itself when that cannot be shown. */
function look(part, name, saved) {
  const charset = part.charset ? `?charset=${encodeURIComponent(part.charset)}` : ""
  const src = `/mail/preview/${place.account}/${part.blobId}${charset}`
  const refused = () => view.replaceWith(h("p", {}, _("This file cannot be shown here.")))
  const view = PICTURE.test(part.type) ? h("img", { src, alt: name, onerror: refused }) : h("iframe", { src, title: name, ...(isPdf(part) ? {} : { sandbox: "" }) })
  const dialog = h("dialog", { className: "look", "aria-label": name, onclose: () => dialog.remove() },
    h("form", { method: "dialog" },
      h("h2", {}, name),
      h("p", { className: "buttons" }, h("button", {}, _("Close")), h("a", { className: "button quiet", href: saved, download: name }, _("Save")))),
    view)
  document.body.append(dialog)
  dialog.showModal()
}
