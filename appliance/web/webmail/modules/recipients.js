/* Fields of addresses, completed from whom mail was exchanged with; and reading addresses out of what was typed. */

import { _, addressText, h } from "./dom.js"
import { MethodError, request } from "./jmap.js"
import { byRole } from "./mail.js"

const ADDRESS = /^[^\s@<>"(),;:]+@[^\s@<>"(),;:]+$/
const SHOWN = 6
const READ = 400
let book = null

/** Addresses of a text such as `Ada <ada@x>, "Smith, Mary" <mary@y>`; those of a list as they are. */
export function addressesIn(given) {
  if (Array.isArray(given)) return given
  return split(given).map(parse).filter((one) => ADDRESS.test(one.email))
}

function split(text) {
  const parts = []
  let part = "", quoted = false
  for (const character of text) {
    if (character === '"') quoted = !quoted
    if (!quoted && (character === "," || character === ";" || character === "\n")) { parts.push(part); part = "" } else part += character
  }
  return [...parts, part].map((one) => one.trim()).filter(Boolean)
}

function parse(text) {
  const found = text.match(/^(.*?)\s*<([^<>]*)>$/)
  return found ? { name: found[1].replace(/^"(.*)"$/, "$1").replace(/\\(.)/g, "$1"), email: found[2].trim() } : { name: "", email: text }
}

const quoted = (one) => (one.name && /[,;"<>]/.test(one.name) ? `"${one.name.replace(/["\\]/g, "\\$&")}" <${one.email}>` : addressText(one))
export const textOf = (list) => (Array.isArray(list) ? list.map(quoted).join(", ") : list)

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

export class Recipients {
  constructor(name, label, list, changed) {
    const id = `compose-${name}`
    this.label = label
    this.options = []
    this.at = -1
    this.input = h("input", { id, value: textOf(list), autocomplete: "off", spellcheck: false, role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`,
      oninput: () => { changed(); this.complete() }, onkeydown: (event) => this.key(event), onblur: () => setTimeout(() => this.hide(), 150), onfocus: people })
    this.list = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": _("Suggestions"), hidden: true, className: "completions" })
    this.element = h("div", { className: "field" }, h("label", { htmlFor: id }, label), this.input, this.list)
    this.changed = changed
  }

  focus() { this.input.focus() }
  text() { return this.input.value }

  /** What is wrong with it, in words; "" for nothing. */
  fault() {
    const wrong = split(this.input.value).find((one) => !ADDRESS.test(parse(one).email))
    return wrong ? _("“%(text)s” is no e-mail address.", { text: wrong }) : ""
  }

  async complete() {
    const word = split(this.input.value.slice(0, this.input.selectionStart) + "\u200b").at(-1).replace("\u200b", "").toLowerCase()
    const known = await people()
    const already = new Set(addressesIn(this.input.value).map((one) => one.email.toLowerCase()))
    this.options = word ? known.filter((one) => !already.has(one.email.toLowerCase()) && `${one.name} ${one.email}`.toLowerCase().split(/[\s@.<"]+/).concat(one.email.toLowerCase(), one.name.toLowerCase()).some((part) => part.startsWith(word))).slice(0, SHOWN) : []
    this.at = this.options.length ? 0 : -1
    this.draw()
  }

  draw() {
    this.list.replaceChildren(...this.options.map((one, at) => h("li", { role: "option", id: `${this.list.id}-${at}`, "aria-selected": String(at === this.at), onmousedown: (event) => { event.preventDefault(); this.take(at) } }, addressText(one))))
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
    if (!this.options.length) return
    const steps = { ArrowDown: 1, ArrowUp: -1 }
    if (event.key in steps) this.at = (this.at + steps[event.key] + this.options.length) % this.options.length
    else if (event.key === "Enter" || event.key === "Tab") return this.take(this.at), event.preventDefault()
    else if (event.key === "Escape") { this.hide(); event.preventDefault(); return event.stopPropagation() } else return
    event.preventDefault()
    this.draw()
  }

  take(at) {
    const before = split(this.input.value).slice(0, -1)
    this.input.value = [...before, quoted(this.options[at])].join(", ") + ", "
    this.hide()
    this.changed()
  }
}
