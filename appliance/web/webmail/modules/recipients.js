/* Fields of addresses, completed from whom mail was exchanged with; and reading addresses out of what was typed. */

import { _, addressText, h } from "./dom.js"
import { MethodError, request } from "./jmap.js"
import { byRole } from "./mail.js"

/** Dots stand between characters; an apostrophe at the end is half of a quotation. */
const ADDRESS = /^(?:"(?:[^"\\]|\\.)+"|(?!\.|.*(?:\.\.|\.@))[^\s@<>"(),;:\u202a-\u202e\u2066-\u2069]+)@(?!\.|.*(?:\.\.|[.']$))[^\s@<>"(),;:\u202a-\u202e\u2066-\u2069]+$/
const SHOWN = 6
const READ = 400
let book = null

/** Addresses of a text such as `Ada <ada@x>, "Smith, Mary" <mary@y>`; those of a list as they are. */
export function addressesIn(given) {
  if (Array.isArray(given)) return given
  return split(given).map(parse).filter((one) => ADDRESS.test(one.email))
}

/** The parts of a list, each with its place in the text; what is quoted has no separators. */
function places(text) {
  const found = []
  let start = 0, quoted = false
  for (let at = 0; at < text.length; at++) {
    if (quoted && text[at] === "\\") at++
    else if (text[at] === '"') quoted = !quoted
    else if (!quoted && ",;\n".includes(text[at])) { found.push({ start, end: at }); start = at + 1 }
  }
  return [...found, { start, end: text.length }]
}

/** The parts that are not empty; addresses with nothing but spaces between them are several. */
function split(text) {
  const parts = places(text).map(({ start, end }) => text.slice(start, end).trim()).filter(Boolean)
  return parts.flatMap((part) => { const words = part.split(/\s+/); return words.every((one) => ADDRESS.test(one)) ? words : [part] })
}

/** Of a group (RFC 5322 §3.4) its members, of `mailto:` the address. */
function parse(given) {
  const text = given.replace(/^[^"<>@:]*:\s*/, "")
  const found = text.match(/^("(?:[^"\\]|\\.)*"|[^<>]*?)\s*<([^<>]*)>$/)  // another address in the name lacks its comma
  return found ? { name: found[1].replace(/^"(.*)"$/, "$1").replace(/\\(.)/g, "$1"), email: found[2].trim() } : { name: "", email: text }
}

/** Is the key for an input method, to choose or leave characters? Safari says so by the code alone. */
export const isComposing = (event) => event.isComposing || event.keyCode === 229

/** As it is written: with quotation marks around a name or a local part that needs them (RFC 5322 §3.4.1). */
const inQuotes = (text) => `"${text.replace(/["\\]/g, "\\$&")}"`
const written = (email) => (/[^@]@[^@]+$/.test(email) && !ADDRESS.test(email) ? email.replace(/^(.*)(?=@)/s, (_all, local) => inQuotes(local)) : email)
const quoted = ({ name, email }) => (name && /[,;:"<>]/.test(name) ? `${inQuotes(name)} <${written(email)}>` : addressText({ name, email: written(email) }))
export const textOf = (list) => (Array.isArray(list) ? list.map(quoted).join(", ") : list)

/** The addresses of a line; in a table the cells beside the only one are the name. */
function oneLine(text) {
  const cells = text.split("\t").map((cell) => cell.replace(/[\s,;]+$/, "").trim()).filter(Boolean)
  const found = cells.filter((cell) => ADDRESS.test(cell))
  if (found.length !== 1) return cells.join(", ")
  return quoted({ name: cells.filter((cell) => cell !== found[0]).join(" "), email: found[0] })
}

/** What is wrong with a list of addresses, in words; "" for nothing. */
export function faultIn(text) {
  const wrong = split(text).find((one) => !ADDRESS.test(parse(one).email))
  return wrong ? _("“%(text)s” is no e-mail address.", { text: wrong }) : ""
}

/** Whom mail was sent to counts more than whom it came from. */
async function readBook() {
  const get = (at, properties) => ["Email/get", { "#ids": { resultOf: String(at), name: "Email/query", path: "/ids" }, properties }]
  const query = (role) => ["Email/query", { filter: { inMailbox: byRole(role)?.id }, sort: [{ property: "receivedAt", isAscending: false }], limit: READ }]
  const roles = ["sent", "inbox"].filter((role) => byRole(role))
  const found = await request(roles.flatMap((role, at) => [query(role), get(at * 2, ["from", "to", "cc"])]))
  const counts = new Map()
  const add = (one, weight) => {
    if (!one?.email) return
    const key = one.email.toLowerCase()
    const known = counts.get(key) ?? { name: "", email: one.email, weight: 0 }
    counts.set(key, { ...known, name: known.name || one.name || "", weight: known.weight + weight })
  }
  roles.forEach((role, at) => {
    const got = found[at * 2 + 1]
    for (const email of got instanceof MethodError ? [] : got.list) {
      if (role === "sent") for (const one of [...(email.to ?? []), ...(email.cc ?? [])]) add(one, 3)
      else add(email.from?.[0], 1)
    }
  })
  return [...counts.values()].sort((a, b) => b.weight - a.weight)
}

const people = () => (book ??= readBook().catch(() => { book = null; return [] }))

/** Who was written to is completed from now on. */
export async function remember(list) {
  const known = (await book) ?? []
  known.unshift(...list.filter((one) => !known.some(({ email }) => email.toLowerCase() === one.email.toLowerCase())))
}

/** Without case and accents. */
const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase()

/** Does each word typed begin a word of the name or of the address? */
function fits(one, typed) {
  const words = folded(`${one.name} ${one.email}`).split(/[\s@.,"()-]+/).concat(folded(one.email))
  return typed.every((word) => words.some((part) => part.startsWith(word)))
}

export class Recipients {
  constructor(name, label, list, changed) {
    const id = `compose-${name}`
    this.label = label
    this.options = []
    this.at = -1
    this.input = h("input", { id, value: textOf(list), autocomplete: "off", spellcheck: false, role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`,
      oninput: () => { changed(); this.complete() }, onpaste: (event) => this.paste(event), onkeydown: (event) => this.key(event), onblur: () => this.hide(), onfocus: people })
    this.list = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": _("Suggestions"), hidden: true, className: "completions", onmousedown: (event) => event.preventDefault() })  // the focus stays
    this.element = h("div", { className: "field" }, h("label", { htmlFor: id }, label), this.input, this.list)
    this.changed = changed
  }

  focus() { this.input.focus() }
  text() { return this.input.value }
  put(list) { this.input.value = textOf(list) }

  fault() { return faultIn(this.input.value) }

  /** A list has its lines behind one another: a field of one line would take the ends of lines away. */
  paste(event) {
    const text = event.clipboardData.getData("text/plain")
    if (!/[\r\n\t]/.test(text)) return
    event.preventDefault()
    document.execCommand("insertText", false, text.split(/[\r\n]+/).map(oneLine).filter(Boolean).join(", "))
  }

  /** The part of the list where the caret is. An address that is whole is not taken for another that begins with it. */
  async complete() {
    const known = await people()
    if (document.activeElement !== this.input) return this.hide()  // gone on meanwhile
    const { value, selectionStart: caret } = this.input
    this.place = places(value).find(({ start, end }) => start <= caret && caret <= end)
    const typed = value.slice(this.place.start, caret).trim().replace(/^["<]/, "")
    const already = new Set(addressesIn(value.slice(0, this.place.start) + value.slice(this.place.end)).map((one) => one.email.toLowerCase()))
    const words = folded(typed).split(/\s+/).filter(Boolean)
    this.options = words.length ? known.filter((one) => !already.has(one.email.toLowerCase()) && fits(one, words)).slice(0, SHOWN) : []
    this.at = ADDRESS.test(typed) ? this.options.findIndex((one) => one.email.toLowerCase() === typed.toLowerCase()) : Math.min(0, this.options.length - 1)
    this.draw()
  }

  draw() {
    this.list.replaceChildren(...this.options.map((one, at) => h("li", { role: "option", id: `${this.list.id}-${at}`, "aria-selected": String(at === this.at), onmousedown: () => this.take(at) }, addressText(one))))
    this.list.hidden = !this.options.length
    this.input.setAttribute("aria-expanded", String(this.options.length > 0))
    if (this.at >= 0) this.input.setAttribute("aria-activedescendant", `${this.list.id}-${this.at}`)
    else this.input.removeAttribute("aria-activedescendant")
  }

  hide() {
    this.options = []
    this.at = -1
    this.draw()
  }

  key(event) {
    if (!this.options.length || isComposing(event) || event.ctrlKey || event.metaKey) return  // Ctrl+Enter sends
    const steps = { ArrowDown: 1, ArrowUp: -1 }
    if (event.key in steps) this.at = (Math.max(this.at, event.key === "ArrowUp" ? 0 : -1) + steps[event.key] + this.options.length) % this.options.length
    else if ((event.key === "Enter" || event.key === "Tab") && this.at >= 0) return this.take(this.at), event.preventDefault()
    else if (event.key === "Escape") { this.hide(); event.preventDefault(); return event.stopPropagation() } else return
    event.preventDefault()
    this.draw()
  }

  take(at) {
    const { value } = this.input
    const before = value.slice(0, this.place.start) + (this.place.start ? " " : "") + quoted(this.options[at])
    const after = value.slice(this.place.end)
    this.input.value = before + (after.trim() ? after : ", ")
    const caret = after.trim() ? before.length : this.input.value.length
    this.input.setSelectionRange(caret, caret)
    this.hide()
    this.changed()
  }
}
