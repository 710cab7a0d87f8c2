/* The list of conversations: a window over any number of them. Rows have one height, so a place is a multiplication; only those in sight
and OVERSCAN around them are elements. An empty list is filled at once, with UNMEASURED_ROWS before anything was measured: what is in
sight is then laid out once, together with the page.

For programs that read the screen it is a listbox: one option is the active one, any number are selected; each option knows its place. */

import { $, _, counted, h, icon, marked, nameOf, put, say, shortDate } from "./dom.js"
import { DRAGGED } from "./folders.js"
import { begun, changes, conversation, emails, isOwn, isUnread, mailboxes, settled } from "./mail.js"
import { view } from "./actions.js"
import { PAGE, QueryWindow } from "./window.js"

const OVERSCAN = 12
const UNMEASURED_ROWS = 10
const MOST_SELECTED = 500
const STILL_PX = 5
const list = $("list")
const space = $("list-space")

export const selection = new Set()
/** `open`: a conversation was chosen (its row); `selection`: the set changed; `taken`: these ids were taken out of the list. */
export const events = new EventTarget()
let query = null
let active = 0
let rowHeight = 76
let dragging = []
let frame = 0
/** The conversation that is open beside the list. */
let opened = ""
/** The active row left the list by itself: what is active now is the one that came after it. */
let passed = false

/** Show another query; `mailbox` null for a search over all. */
export function showQuery(given, mailbox) {
  query?.close()
  selection.clear()
  active = 0
  passed = false
  view.mailbox = mailbox
  query = new QueryWindow(given)
  query.addEventListener("read", draw)
  query.addEventListener("fault", () => say(_("The list could not be read. It will be tried again."), { fault: true }))
  if (space.firstChild) list.scrollTop = 0
  space.replaceChildren()
  list.setAttribute("aria-busy", "true")
  $("empty").hidden = true
  query.show(0, 1)
  events.dispatchEvent(new Event("selection"))
}

/** Rows as chosen: the selected ones, or the active one. */
export function chosen() {
  const ids = selection.size ? [...selection] : [query?.ids.get(active)]
  return ids.map((id) => emails.get(id)).filter(Boolean)
}

export const dragged = () => dragging
export const activeRow = () => emails.get(query?.ids.get(active))

/** The conversation beside the active one, for reading on: +1 is the next older one. */
export function step(by) {
  setActive(active + (passed && opened && by > 0 ? by - 1 : by))
  return activeRow()
}

export function markOpened(thread) {
  opened = thread
  passed = false
  const place = placeOf(thread)
  if (place >= 0) active = place
  draw()
}

/** Where a conversation stands, by whichever of its messages; -1 where that is not known. */
function placeOf(thread) {
  for (const [at, id] of query?.ids ?? []) if (thread && emails.get(id)?.threadId === thread) return at
  return -1
}

function setActive(at, { extend = false } = {}) {
  if (!query?.total) return
  const before = active
  passed = false
  active = Math.max(0, Math.min(at, query.total - 1))
  const top = active * rowHeight
  if (top < list.scrollTop) list.scrollTop = top
  else if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight
  draw()
  if (extend) select(before, active)
}

/** All from one place to another, read where they are not known yet; the first MOST_SELECTED of them. What comes or goes meanwhile moves
the ends: they are the conversations that stood there. */
async function select(from, to) {
  const mine = query
  const ends = [from, to].map((at) => [at, mine.ids.get(at)])
  const range = () => {
    const [byFrom, byTo] = ends.map(([at, id]) => (mine.placeOf(id) < 0 ? null : mine.placeOf(id) - at))
    const start = from + (byFrom ?? byTo ?? 0), stop = to + (byTo ?? byFrom ?? 0)
    const last = start + Math.max(-MOST_SELECTED + 1, Math.min(MOST_SELECTED - 1, stop - start))
    return { first: Math.min(start, last), end: Math.max(start, last) + 1, isCut: last !== stop }
  }
  let read, now = range()
  try {
    do {
      read = now
      await mine.readAll(read.first, read.end)
      now = range()
    } while (mine === query && (now.first !== read.first || now.end !== read.end))
  } catch (fault) {
    if (fault.name === "AbortError") return
    throw fault
  }
  if (mine !== query) return
  for (let place = now.first; place < now.end; place++) if (query.ids.has(place)) selection.add(query.ids.get(place))
  if (now.isCut) say(_("No more than %(number)s conversations are selected at once.", { number: MOST_SELECTED }))
  draw()
  events.dispatchEvent(new Event("selection"))
}

export function toggle(at = active) {
  const id = query?.ids.get(at)
  if (!id) return
  if (!selection.delete(id)) selection.add(id)
  draw()
  events.dispatchEvent(new Event("selection"))
}

export function clearSelection() {
  selection.clear()
  draw()
  events.dispatchEvent(new Event("selection"))
}

// --- what actions do to the list ----------------------------------------------------------------------

view.take = (rows) => {
  const threads = new Set(rows.map((row) => row.threadId))
  const gone = new Set(rows.map((row) => row.id))
  for (const id of query?.ids.values() ?? []) if (threads.has(emails.get(id)?.threadId)) gone.add(id)  // a newer message stands for it
  for (const id of gone) selection.delete(id)
  const taken = query?.remove(gone)
  active = Math.max(0, Math.min(active, (query?.total ?? 1) - 1))
  events.dispatchEvent(new CustomEvent("taken", { detail: gone }))
  events.dispatchEvent(new Event("selection"))
  draw()
  return taken === rows.length
}
view.again = () => refresh().catch(() => {})  // without a connection: once there is one again

let refreshing = null, next = null

/** Read what is shown again; one such reading after the other, for each moves the view by what it found. */
export function refresh() {
  if (!refreshing) return (refreshing = refreshNow().finally(() => { refreshing = null }))
  return (next ??= refreshing.catch(() => {}).then(() => { next = null; return refresh() }))
}

async function refreshNow() {
  await settled()  // what is read in the midst of a change is true for a moment
  const before = begun
  if (!query || query.total === null) { query?.tryNow(); return }
  const mine = query
  const first = Math.floor(list.scrollTop / rowHeight)
  const known = query.ids
  const moved = await query.refresh(first, Math.ceil(list.clientHeight / rowHeight), OVERSCAN)
  if (mine !== query) return
  if (before !== begun) refresh().catch(() => {})
  if (moved) {
    space.style.height = `${query.total * rowHeight}px`
    list.scrollTop += moved * rowHeight
  }
  keepSelection()
  const places = active < first - OVERSCAN ? [] : Array.from({ length: PAGE }, (_none, by) => placeOf(emails.get(known.get(active + by))?.threadId))
  const place = places.find((at) => at >= 0)
  passed = place !== undefined && (passed || place !== places[0])
  active = place ?? Math.max(0, Math.min(active + moved, query.total - 1))
  draw()
}

/** Selected is what is still there: what left elsewhere is not, and a newer message stands for its conversation. */
function keepSelection() {
  if (!selection.size) return
  const rows = new Map([...query.ids.values()].map((id) => [emails.get(id)?.threadId, id]))
  for (const id of [...selection]) {
    const email = emails.get(id)
    const row = rows.get(email?.threadId) ?? id
    if (!email || row !== id || (view.mailbox && !email.mailboxIds[view.mailbox])) selection.delete(id)
    if (email && row !== id) selection.add(row)
  }
  events.dispatchEvent(new Event("selection"))
}
changes.addEventListener("remote", () => refresh().catch(() => {}))
changes.addEventListener("messages", () => draw())

// --- drawing -------------------------------------------------------------------------------------------

function draw() {
  if (!space.firstChild) drawNow()
  if (!frame) frame = requestAnimationFrame(drawNow)
}

/** The places to draw, the last one excluded. Where the list stands is asked once it has rows: asking lays out the page. */
function bounds() {
  if (!space.firstChild) return [0, Math.min(query.total, UNMEASURED_ROWS)]
  const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - OVERSCAN)
  return [first, Math.min(query.total, Math.ceil((list.scrollTop + list.clientHeight) / rowHeight) + OVERSCAN)]
}

function drawNow() {
  frame = 0
  if (!query || query.total === null) return
  const before = rowHeight
  rowHeight = Math.round(parseFloat(getComputedStyle(list).getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize))
  space.style.height = `${query.total * rowHeight}px`
  if (rowHeight !== before && space.firstChild) list.scrollTop *= rowHeight / before  // the text is larger or smaller now
  list.removeAttribute("aria-busy")
  $("empty").hidden = query.total > 0
  const [first, end] = bounds()
  query.show(first, end)
  const rows = new Map([...space.children].map((row) => [row.dataset.key, row]))
  const shown = []
  for (let at = first; at < end; at++) shown.push(row(at, rows))
  put(space, shown)
  if (query.total && active >= first && active < end) list.setAttribute("aria-activedescendant", `row-${active}`)
  else list.removeAttribute("aria-activedescendant")
  $("total").textContent = counted("%(number)s conversation", "%(number)s conversations", query.total)
}

/** The element of a place, the one there was when nothing about it changed. */
function row(at, known) {
  const id = query.ids.get(at)
  const email = emails.get(id)
  const members = email ? conversation(email) : []
  const snippet = query.snippets.get(id)
  const state = email && [at, rowHeight, selection.has(id), at === active, email.threadId === opened, query.total, members.map((one) => [one.id, Object.keys(one.keywords)]), snippet?.preview]
  const key = email ? `${id} ${JSON.stringify(state)}` : `place ${at} ${rowHeight}`
  const there = known.get(key)
  if (there) return there
  const element = email ? filled(email, members, at, snippet) : h("div", { className: "row waiting", role: "option", "aria-selected": "false", "aria-label": _("Loading") })
  element.id = `row-${at}`
  element.dataset.key = key
  element.dataset.at = at
  if (email) element.dataset.id = id
  element.setAttribute("aria-posinset", at + 1)
  element.setAttribute("aria-setsize", query.total)
  element.style.transform = `translateY(${at * rowHeight}px)`
  return element
}

function filled(email, members, at, snippet) {
  const unread = members.some(isUnread)
  const flagged = members.some((one) => one.keywords.$flagged)
  const is = [unread && "unread", at === active && "active", email.threadId === opened && "opened"].filter(Boolean)
  const subject = email.subject || _("(no subject)")
  const element = h("div", { className: `row ${is.join(" ")}`, role: "option", draggable: true, "aria-selected": String(selection.has(email.id)) },
    h("span", { className: "check", "aria-hidden": "true" }, selection.has(email.id) ? icon("check") : null),
    unread ? h("span", { className: "away" }, _("Unread"), ", ") : null,
    h("span", { className: "who" }, who(email, members)),
    members.length > 1 ? h("span", { className: "many" }, h("span", { "aria-hidden": "true" }, String(members.length)), h("span", { className: "away" }, counted("%(number)s message", "%(number)s messages", members.length))) : null,
    h("time", { dateTime: email.receivedAt }, shortDate(email.receivedAt)),
    h("span", { className: "subject" }, snippet?.subject ? marked(snippet.subject) : subject),
    h("span", { className: "preview" }, snippet?.preview ? marked(snippet.preview) : email.preview),
    h("span", { className: "marks" },
      email.keywords.$answered ? [icon("reply"), h("span", { className: "away" }, _("answered"))] : null,
      email.hasAttachment ? [icon("clip"), h("span", { className: "away" }, _("has attachments"))] : null,
      flagged ? [icon("star"), h("span", { className: "away" }, _("starred"))] : null))
  return element
}

/** Who wrote in the conversation; in Sent and Drafts who it goes to. */
function who(email, members) {
  const role = mailboxes.get(view.mailbox)?.role
  if (["sent", "drafts", "scheduled"].includes(role)) {
    const names = (email.to ?? []).map(nameOf).join(", ")
    return names ? _("To: %(names)s", { names }) : _("(no recipient)")
  }
  const names = members.filter((one) => one.from?.length).map((one) => (isOwn(one) ? _("Me") : nameOf(one.from[0])))
  const all = [...new Set(names)]
  if (all.length <= 3) return all.join(", ") || _("(unknown sender)")
  return [all[0], "…", ...all.slice(-2)].join(" ")
}

// --- pointer and keys ------------------------------------------------------------------------------------

/** Where the conversation of a row stands by now, which may not be drawn yet; -1 when it is not there any more. */
const placeAt = (target) => {
  const { id, at = -1 } = target.closest?.(".row")?.dataset ?? {}
  if (!id) return Number(at)
  const place = query.placeOf(id)
  return place < 0 ? placeOf(emails.get(id)?.threadId) : place  // a newer message stands for it
}
/** The mouse went down there. A row that is drawn anew before it goes up gets no click from the browser: up again at the same place is one. */
let pressed = null

list.addEventListener("scroll", draw, { passive: true })
new ResizeObserver(draw).observe(list)

list.addEventListener("mousedown", (event) => { pressed = event })
list.addEventListener("mouseup", (event) => {
  const down = pressed
  pressed = null
  if (!down || down.target.isConnected || event.button) return
  if (Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < STILL_PX) click(event, down.target)
})
list.addEventListener("click", (event) => click(event, event.target))

function click(event, target) {
  const at = placeAt(target)
  if (at < 0) return
  if (target.closest(".check") || event.ctrlKey || event.metaKey) {
    active = at
    passed = false
    toggle(at)
  } else if (event.shiftKey) setActive(at, { extend: true })
  else open(at)
}

export function open(at = active) {
  active = at
  const email = emails.get(query?.ids.get(at))
  if (email) events.dispatchEvent(new CustomEvent("open", { detail: email }))
  draw()
}

list.addEventListener("dragstart", (event) => {
  const at = placeAt(event.target)
  const id = query?.ids.get(at)
  if (!id) return event.preventDefault()
  dragging = selection.has(id) ? chosen() : [emails.get(id)].filter(Boolean)
  event.dataTransfer.effectAllowed = "move"
  event.dataTransfer.setData(DRAGGED, "1")
})
list.addEventListener("dragend", () => { dragging = [] })

list.addEventListener("keydown", (event) => {
  const pageRows = Math.max(1, Math.floor(list.clientHeight / rowHeight) - 1)
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: pageRows, PageUp: -pageRows, Home: -Infinity, End: Infinity }
  if (event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key === "a" && !event.altKey) { if (query?.total) select(0, query.total - 1); event.preventDefault() }
    return
  }
  if (event.key in steps) setActive(active + steps[event.key], { extend: event.shiftKey })
  else if (event.key === "Enter") open()
  else if (event.key === " ") toggle()
  else if (event.key === "Escape" && selection.size) clearSelection()
  else return
  event.preventDefault()
  event.stopPropagation()
})
