/* The text of a message: plain, or rich in the few ways mail needs: bold, italic, lists, links, pictures.

Rich text is read out of the page and put into it element by element, by the list below: what is pasted comes as text, and HTML is
written and parsed here only in the form that is written here. */

import { _, ask, boot, h, icon } from "./dom.js"

const KEPT = { B: "b", STRONG: "b", I: "i", EM: "i", U: "u", UL: "ul", OL: "ol", LI: "li", BLOCKQUOTE: "blockquote", P: "p", DIV: "p", BR: "br", A: "a", IMG: "img" }
const BLOCKS = new Set(["ul", "ol", "li", "blockquote", "p"])
const LINK = /^(https?:\/\/|mailto:)/i
const escaped = (text) => text.replace(/[&<>"]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[one])

export class Editor {
  /** `picture(file)` uploads one and gives {cid, url}. */
  constructor({ text, html, rich, pictures = [] }, changed, picture) {
    this.changed = changed
    this.picture = picture
    this.rich = rich
    this.plain = h("textarea", { id: "compose-text", "aria-label": _("Text"), value: text, oninput: changed })
    this.area = h("div", { id: "compose-rich", className: "rich", contentEditable: "true", role: "textbox", "aria-multiline": "true", "aria-label": _("Text"), oninput: changed, onpaste: (event) => this.paste(event), ondrop: (event) => { if (!event.dataTransfer.files.length) event.preventDefault() } })
    if (rich) fill(this.area, html, pictures)
    const command = (name, label, run) => h("button", { type: "button", className: "icon-button", title: label, "aria-label": label, onmousedown: (event) => event.preventDefault(), onclick: run }, icon(name))
    const does = (name) => () => { this.area.focus(); document.execCommand(name); changed() }
    this.tools = h("div", { role: "toolbar", "aria-label": _("Formatting"), className: "formatting" },
      command("bold", _("Bold"), does("bold")), command("italic", _("Italic"), does("italic")), command("bullets", _("List"), does("insertUnorderedList")),
      command("numbers", _("Numbered list"), does("insertOrderedList")), command("link", _("Link"), () => this.link()))
    this.toggle = h("button", { type: "button", className: "quiet small", "aria-pressed": String(rich), onclick: () => this.switch() }, _("Formatting"))
    this.element = h("div", { className: "text-field" }, h("div", { className: "buttons" }, this.toggle, this.tools), this.plain, this.area)
    this.show()
  }

  show() {
    this.plain.hidden = this.rich
    this.area.hidden = this.tools.hidden = !this.rich
    this.toggle.setAttribute("aria-pressed", String(this.rich))
  }

  switch() {
    if (this.rich) this.plain.value = plainText(this.area)
    else fill(this.area, this.plain.value.split("\n").map((line) => `<p>${escaped(line) || "<br>"}</p>`).join(""), [])
    this.rich = !this.rich
    this.show()
    this.focus()
    this.changed()
  }

  focus() {
    if (this.rich) return this.area.focus()
    this.plain.focus()
    this.plain.setSelectionRange(0, 0)
    this.plain.scrollTop = 0
  }

  read() {
    if (!this.rich) return { text: this.plain.value, html: "", rich: false }
    return { text: plainText(this.area), html: markup(this.area), rich: true }
  }

  async paste(event) {
    event.preventDefault()
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"))
    if (!file) return document.execCommand("insertText", false, event.clipboardData.getData("text/plain"))
    const range = getSelection().rangeCount ? getSelection().getRangeAt(0) : null
    const made = await this.picture(file).catch(() => null)
    if (!made) return
    const image = h("img", { src: made.url, alt: file.name, "data-cid": made.cid })
    if (range && this.area.contains(range.commonAncestorContainer)) range.insertNode(image)
    else this.area.append(image)
    this.changed()
  }

  async link() {
    const range = getSelection().rangeCount ? getSelection().getRangeAt(0).cloneRange() : null
    const field = h("input", { type: "url", id: "link-to", placeholder: "https://" })
    if ((await ask(_("Link"), h("p", {}, h("label", { htmlFor: "link-to" }, _("Where does it lead?")), field), [["yes", _("Make the link")]])) !== "yes") return
    const place = /^[a-z]+:/i.test(field.value) ? field.value : `https://${field.value}`
    if (!LINK.test(place) || !range || !this.area.contains(range.commonAncestorContainer)) return
    getSelection().removeAllRanges()
    getSelection().addRange(range)
    if (range.collapsed) range.insertNode(h("a", { href: place }, place))
    else document.execCommand("createLink", false, place)
    this.changed()
  }
}

/** HTML of what is in the editor, of the elements in KEPT alone. */
function markup(node) {
  return [...node.childNodes].map((one) => {
    if (one.nodeType === Node.TEXT_NODE) return escaped(one.data)
    const tag = KEPT[one.nodeName]
    if (!tag) return one.nodeType === Node.ELEMENT_NODE ? markup(one) : ""
    if (tag === "br") return "<br>"
    if (tag === "img") return one.dataset.cid ? `<img src="cid:${escaped(one.dataset.cid)}" alt="${escaped(one.alt)}">` : ""
    if (tag === "a") return LINK.test(one.getAttribute("href") ?? "") ? `<a href="${escaped(one.getAttribute("href"))}">${markup(one)}</a>` : markup(one)
    return `<${tag}>${markup(one)}</${tag}>`
  }).join("")
}

/** The same as plain text. */
function plainText(node) {
  const walk = (parent, prefix) => [...parent.childNodes].map((one) => {
    if (one.nodeType === Node.TEXT_NODE) return one.data.replace(/\s+/g, " ")
    const tag = KEPT[one.nodeName]
    if (tag === "br") return "\n"
    if (tag === "ul" || tag === "ol") return [...one.children].map((item, at) => `${prefix}${tag === "ul" ? "-" : `${at + 1}.`} ${walk(item, `${prefix}  `).trim()}\n`).join("")
    if (tag === "blockquote") return `${walk(one, "").trimEnd().split("\n").map((line) => `> ${line}`).join("\n")}\n`
    if (tag === "a") { const to = one.getAttribute("href"); return one.textContent === to ? to : `${one.textContent} <${to}>` }
    return tag && BLOCKS.has(tag) ? `${walk(one, prefix).replace(/\n$/, "")}\n` : walk(one, prefix)
  }).join("")
  return walk(node, "").replace(/\n{3,}/g, "\n\n").trimEnd()
}

/** Put HTML as `markup` writes it into the editor: known elements, everything else as text. */
function fill(area, html, pictures) {
  const plain = (text) => text.replace(/&(amp|lt|gt|quot|nbsp|#39);/g, (_all, name) => ({ amp: "&", lt: "<", gt: ">", quot: '"', nbsp: " ", "#39": "'" })[name])
  const stack = [area]
  area.replaceChildren()
  for (const [, end, name, rest, text] of html.matchAll(/<(\/?)([a-z]+)([^<>]*)>|([^<]+)/g)) {
    const top = stack.at(-1)
    if (text !== undefined) { top.append(plain(text)); continue }
    const tag = Object.values(KEPT).includes(name) ? name : null
    if (!tag) continue
    if (end) { if (stack.length > 1 && stack.at(-1).localName === tag) stack.pop(); continue }
    const value = (attribute) => plain(rest.match(new RegExp(`${attribute}="([^"]*)"`))?.[1] ?? "")
    const element = document.createElement(tag)
    if (tag === "a" && LINK.test(value("href"))) element.href = value("href")
    if (tag === "img") {
      const found = pictures.find((one) => `cid:${one.cid}` === value("src"))
      if (!found) continue
      element.src = `/mail/preview/${boot.account}/${found.blobId}`
      element.dataset.cid = found.cid
      element.alt = value("alt")
    }
    top.append(element)
    if (tag !== "br" && tag !== "img" && stack.length < 50) stack.push(element)
  }
}
