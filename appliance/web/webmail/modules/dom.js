/* Elements, sentences, dates and the line that says what was done: what every other module builds with.

Nothing here or elsewhere makes elements from strings of HTML: Trusted Types forbid it, and mail is text until a frame shows it. */

const read = (id) => JSON.parse(document.getElementById(id).textContent)

/** What the server put into the page: account, address, version, mailboxes, capabilities. */
export const boot = read("boot")
const { texts, plurals, thousands } = read("catalogue")
const page = document.documentElement.lang
/** For dates and numbers: the browser's kind of the page's language. */
export const lang = navigator.languages.find((one) => one.split("-")[0] === page) ?? page

/** The sentence in the language of the page, its %(name)s filled in. */
export const _ = (text, values = {}) => (texts[text] ?? text).replace(/%\((\w+)\)s/g, (whole, name) => values[name] ?? whole)

/** `one` or `many`, with %(number)s filled in. Its thousands are marked here: the browser's own formats take 15 ms to begin with. */
export function counted(one, many, number) {
  const form = plurals ? Number(plurals[number < 200 ? number : 100 + (number % 100)]) : number === 1 ? 0 : 1
  return (texts[one] ?? [one, many])[form].replace("%(number)s", String(number).replace(/\B(?=(\d{3})+$)/g, thousands))
}

export const $ = (id) => document.getElementById(id)

/** An element: properties (`on...` are listeners, names with a dash are attributes, null is left out), then children. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (value == null) continue
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else if (name in element && !name.includes("-")) element[name] = value
    else if (value !== false) element.setAttribute(name, value === true ? "" : value)
  }
  element.append(...children.flat(Infinity).filter((one) => one != null && one !== false))
  return element
}

/** An icon of the page's sprite, for the eye only. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  svg.setAttribute("class", "icon")
  svg.setAttribute("aria-hidden", "true")
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use")
  use.setAttribute("href", `#i-${name}`)
  svg.append(use)
  return svg
}

/** A button with an icon; its name is read out and shown as a tip. */
export const iconButton = (name, label, onclick, more = {}) =>
  h("button", { type: "button", className: "icon-button", title: label, "aria-label": label, onclick, ...more }, icon(name))

// --- instants and sizes ------------------------------------------------------------------------------

const MONTHS = _("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split(" ")
/** Where English has the month before the day, and where it counts the hours to twelve. */
const MONTH_FIRST = /^en-(US|PH)$/.test(lang)
const TWELVE_HOURS = /^en-(US|PH|CA|AU|NZ|IN)$/.test(lang)
const two = (number) => String(number).padStart(2, "0")

/** As short as a list needs it: the time today, the day this year. Written here: the browser's own formats take 50 ms to begin with,
on a slow phone a third of a second, which the first list would wait for. */
export function shortDate(text, now = new Date()) {
  const at = new Date(text)
  if (at.toDateString() === now.toDateString()) return clock(at)
  const [day, month, year] = [at.getDate(), MONTHS[at.getMonth()], at.getFullYear()]
  const date = MONTH_FIRST ? `${month} ${day}` : _("%(day)s %(month)s", { day, month })
  return year === now.getFullYear() ? date : `${date}${MONTH_FIRST ? "," : ""} ${year}`
}

function clock(at) {
  const hours = at.getHours()
  if (TWELVE_HOURS) return `${hours % 12 || 12}:${two(at.getMinutes())} ${hours < 12 ? "AM" : "PM"}`
  return `${two(hours)}:${two(at.getMinutes())}`
}

let whole = null
export const fullDate = (text) => (whole ??= new Intl.DateTimeFormat(lang, { dateStyle: "full", timeStyle: "short" })).format(new Date(text))

/** In kB, MB or GB of a thousand each, as on all pages. */
export function size(octets) {
  let value = octets, unit = "B"
  for (const larger of ["kB", "MB", "GB"]) {
    if (value < 999.5) break
    value /= 1000
    unit = larger
  }
  return `${value < 9.95 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`
}

// --- addresses -----------------------------------------------------------------------------------------

/** What others chose, as a part of a line of ours: without control characters and those that turn text round, as plain_text.py has them. */
export const plain = (text, instead = "\ufffd") => (text ?? "").replace(/[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, instead)
/** The name, but not one that has an address in it which is another than its own. */
export const nameOf = ({ name, email }) => plain(name && !/[@\uff20\ufe6b]/.test(name.toLowerCase().replaceAll(email.toLowerCase(), "")) ? name : email)
export const addressText = ({ name, email }) => plain(name && name !== email ? `${name} <${email}>` : email)

/** Make these the children of an element. Those that stay are not touched: what is taken out while the mouse is down on it, be it for a
moment, gets no click. */
export function put(parent, children) {
  const staying = new Set(children)
  for (const one of [...parent.children]) if (!staying.has(one)) one.remove()
  let next = parent.firstChild
  for (const one of children) {
    if (one === next) next = next.nextSibling
    else parent.insertBefore(one, next)
  }
}

/** Put the focus where it can be: what had it is gone. */
export function focusFirst(...places) {
  (places.find((one) => one !== document.body && one?.getClientRects().length) ?? $("main")).focus()
}

// --- what was done ---------------------------------------------------------------------------------------

let gone = 0
let undo = null

/** Say what was done, for as long as a reader needs; `undoing` puts an Undo button beside it. `lasting`: until something else is said. */
export function say(sentence, { undoing = null, label = _("Undo"), ms = 10_000, fault = false, lasting = false } = {}) {
  clearTimeout(gone)
  undo = undoing && (() => { undo = null; unsay(); return undoing() })
  const line = $("said")
  line.replaceChildren(h("span", {}, sentence), ...(undo ? [h("button", { type: "button", onclick: undo }, label)] : []))
  line.className = fault ? "fault-line" : ""
  line.hidden = false
  if (!lasting) gone = setTimeout(tire, ms)
}

/** Who is at the button has as long as it takes. */
function tire() {
  if ($("said").matches(":hover, :focus-within")) gone = setTimeout(tire, 1000)
  else unsay()
}

export function unsay() {
  const left = $("said").contains(document.activeElement)
  $("said").hidden = true
  if (left) focusFirst($("list"), $("subject"))
}

/** Undo what the line offered last; the key works after the line is gone. */
export const undoLast = () => undo?.()

/** Something that lasts until it is over: no connection, a newer version. */
export function banner(sentence, label = "", onclick = null) {
  const line = $("banner")
  line.hidden = !sentence
  line.replaceChildren(h("span", {}, sentence), ...(label ? [h("button", { type: "button", className: "quiet", onclick }, label)] : []))
}

/** A question in a dialog; resolves to what `value` the chosen button has, "" when it was closed, or the page behind it is another now. */
export function ask(title, body, buttons, closing = _("Cancel")) {
  return new Promise((resolve) => {
    const leave = () => dialog.close("")
    const over = () => { removeEventListener("popstate", leave); resolve(dialog.returnValue); dialog.remove() }
    const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: over },
      h("form", { method: "dialog" },
        h("h2", { id: "dialog-title" }, title),
        body,
        h("p", { className: "buttons" },
          buttons.map(([value, label, kind]) => h("button", { value, className: kind ?? "" }, label)),
          h("button", { value: "", className: "quiet", formNoValidate: true }, closing))))
    document.body.append(dialog)
    dialog.showModal()
    addEventListener("popstate", leave)
  })
}

/** The word mark of a snippet (RFC 8621 §5: escaped text with <mark>) as nodes. */
export function marked(snippet) {
  const plain = (text) => text.replace(/&(lt|gt|amp|quot|#x27|#39);/g, (_all, name) =>
    ({ lt: "<", gt: ">", amp: "&", quot: '"', "#x27": "'", "#39": "'" })[name])
  return snippet.split(/<mark>(.*?)<\/mark>/s).map((text, at) => (at % 2 ? h("mark", {}, plain(text)) : plain(text)))
}
