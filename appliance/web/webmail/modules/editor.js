/* The text of a message: plain, or rich in the few ways mail needs: bold, italic, lists, links, pictures. What is pasted comes as text. */

import { _, h, icon } from "./dom.js"
import { Refusal, field, openForm } from "./forms.js"
import { LINK, fill, linesMarkup, markup, plainText, spaced } from "./markup.js"
import { Signature, signArea, signText } from "./signature.js"

/** In Chromium 2000 lines take half a minute, 200 a third of a second. */
const TYPED_LINES = 200

export class Editor {
  /** `picture(file)` uploads one and gives {cid, url}. */
  constructor({ text, html, rich, pictures = [] }, changed, picture) {
    this.changed = changed
    this.picture = picture
    this.rich = rich
    this.signature = new Signature()
    this.plain = h("textarea", { id: "compose-text", "aria-label": _("Text"), value: text, oninput: changed })
    this.area = h("div", { id: "compose-rich", className: "rich", contentEditable: "true", role: "textbox", "aria-multiline": "true", "aria-label": _("Text"), oninput: changed, onpaste: (event) => this.paste(event), ondrop: (event) => { if (!event.dataTransfer.files.length) event.preventDefault() } })
    this.plain.setSelectionRange(0, 0)
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

  /** Back without a change in between, either is as it was. */
  switch() {
    if (this.rich) {
      if (markup(this.area) !== this.filled) this.plain.value = this.text()
      this.left = this.plain.value
    } else if (this.plain.value !== this.left) {
      fill(this.area, linesMarkup(this.plain.value.split("\n")), [])
      signArea(this.area, this.signature.asLines, this.signature.elements)
      this.filled = markup(this.area)
    }
    this.rich = !this.rich
    this.show()
    this.focus()
    this.changed()
  }

  /** Another signature in place of the one there is, unless that was changed by hand. The caret stays where it was. */
  sign(next) {
    const { plain, area, signature } = this
    if (this.rich) {
      if (signArea(area, signature.elements, next.elements)) this.signature = next
      return
    }
    const text = signText(plain.value, signature, next)
    if (text === null) return
    const caret = plain.selectionStart
    plain.value = text
    plain.setSelectionRange(caret, caret)
    this.signature = next
  }

  /** Rich text as plain text, signed as such. */
  text() {
    const { asLines, elements } = this.signature
    if (asLines === elements) return plainText(this.area)
    const copy = this.area.cloneNode(true)
    signArea(copy, elements, asLines)
    return plainText(copy)
  }

  focus() {
    if (this.rich) return this.area.focus()
    this.plain.focus()
    this.plain.setSelectionRange(0, 0)
    this.plain.scrollTop = 0
  }

  read() {
    if (!this.rich) return { text: this.plain.value, html: "", rich: false }
    return { text: this.text(), html: markup(this.area), rich: true }
  }

  /** Text as text; pictures where it is, other files are the message's (`uploads`). Programs of tables put a picture beside their text. */
  async paste(event) {
    const text = event.clipboardData.getData("text/plain")
    const files = [...event.clipboardData.files].filter((one) => one.type.startsWith("image/"))
    if (!text && event.clipboardData.files.length > files.length) return
    event.preventDefault()
    if (text) return this.insert(text)
    const range = this.caret()
    for (const file of files) {
      const made = await this.picture(file)
      if (!made) continue
      range.insertNode(h("img", { src: made.url, alt: file.name, "data-cid": made.cid }))
      range.collapse(false)
      if (document.activeElement === this.area) this.select(range)
    }
    this.changed()
  }

  /** Typed, as it were, so that Undo takes it out; many lines would stop the browser for as long as it takes to type them. */
  insert(text) {
    const lines = text.split(/\r\n?|\n/)
    if (lines.length <= TYPED_LINES) return document.execCommand("insertText", false, spaced(text))
    const range = this.caret(), block = h("div")
    fill(block, linesMarkup(lines), [])
    range.deleteContents()
    range.insertNode(block)
    range.collapse(false)
    this.select(range)
    this.changed()
  }

  /** What is selected in the text; its end when nothing is. */
  caret() {
    const range = getSelection().rangeCount ? getSelection().getRangeAt(0).cloneRange() : document.createRange()
    if (this.area.contains(range.commonAncestorContainer)) return range
    range.selectNodeContents(this.area)
    range.collapse(false)
    return range
  }

  select(range) {
    this.area.focus()
    getSelection().removeAllRanges()
    getSelection().addRange(range)
  }

  async link() {
    const range = this.caret()
    const input = h("input", { inputMode: "url", id: "link-to", placeholder: "https://", autocomplete: "off" })
    const work = () => addressIn(input)
    const address = await openForm({ title: _("Link"), body: field(_("Where does it lead?"), input), label: _("Make the link"), work })
    this.select(range)
    if (!address) return
    const place = input.value.trim()
    if (range.collapsed) {
      document.execCommand("insertText", false, place)
      const { focusNode, focusOffset } = getSelection()
      getSelection().setBaseAndExtent(focusNode, focusOffset - place.length, focusNode, focusOffset)
    }
    document.execCommand("createLink", false, address)
    getSelection().collapseToEnd()
    this.changed()
  }
}

/** Where the link in a field leads. Throws a Refusal when that is no place for a link of a message. */
function addressIn(input) {
  const place = input.value.trim()
  const address = /^[^\s@/:]+@[^\s@/:]+$/.test(place) ? `mailto:${place}` : /^[a-z]+:(?!\d)/i.test(place) ? place : `https://${place}`
  if (!place || !LINK.test(address)) throw new Refusal(_("A link leads to a web page or an e-mail address."), input)
  return address
}
