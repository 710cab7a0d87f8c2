/* The list of conversations: a window over any number of them. Rows have one height, so a place is a multiplication; only those in sight
and OVERSCAN around them are elements.

For programs that read the screen it is a listbox: one option is the active one, any number are selected; each option knows its place. */

import { $, _, boot, counted, h, icon, marked, nameOf, say, shortDate } from "./dom.js"
import { DRAGGED } from "./folders.js"
import { changes, conversation, emails, isUnread, mailboxes } from "./mail.js"
import { view } from "./actions.js"
import { QueryWindow } from "./window.js"

const OVERSCAN = 12
const list = $("list")
const space = $("list-space")

export const selection = new Set()
export const events = new EventTarget()
/** `open`: a conversation was chosen; `selection`: the set changed. */
let query = null
let active = 0
let rowHeight = 76
let dragging = []
let frame = 0
let opened = ""

/** Show another query; `mailbox` null for a search over all. */
export function showQuery(given, mailbox) {
  query?.close()
  selection.clear()
  active = 0
  view.mailbox = mailbox
  query = new QueryWindow(given)
  query.addEventListener("read", draw)
  query.addEventListener("fault", () => say(_("The list could not be read. It will be tried again."), { fault: true }))
  list.scrollTop = 0
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
export const listTotal = () => query?.total ?? 0

/** The conversation beside the active one, for reading on: +1 is the next older one. */
export function step(by) {
  setActive(active + by)
  return activeRow()
}

export function markOpened(id) {
  opened = id
  const place = id ? query?.placeOf(id) ?? -1 : -1
  if (place >= 0) active = place
  draw()
}

export function setActive(at, { extend = false } = {}) {
  if (!query?.total) return
  const before = active
  active = Math.max(0, Math.min(at, query.total - 1))
  if (extend) for (let place = Math.min(before, active); place <= Math.max(before, active); place++) if (query.ids.has(place)) selection.add(query.ids.get(place))
  const top = active * rowHeight
  if (top < list.scrollTop) list.scrollTop = top
  else if (top + rowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + rowHeight - list.clientHeight
  draw()
  if (extend) events.dispatchEvent(new Event("selection"))
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

export function selectLoaded() {
  for (const id of query?.ids.values() ?? []) selection.add(id)
  draw()
  events.dispatchEvent(new Event("selection"))
}

// --- what actions do to the list ----------------------------------------------------------------------

view.take = (rows) => {
  const gone = new Set(rows.map((row) => row.id))
  for (const id of gone) selection.delete(id)
  query?.remove(gone)
  active = Math.max(0, Math.min(active, (query?.total ?? 1) - 1))
  events.dispatchEvent(new CustomEvent("taken", { detail: gone }))
  events.dispatchEvent(new Event("selection"))
  draw()
}
view.again = () => refresh()

export async function refresh() {
  if (!query || query.total === null) { query?.show(0, 1); return }
  const mine = query
  const first = Math.floor(list.scrollTop / rowHeight)
  const activeId = query.ids.get(active)
  const moved = await query.refresh(first, Math.ceil(list.clientHeight / rowHeight))
  if (mine !== query) return
  if (moved) list.scrollTop += moved * rowHeight
  const place = activeId ? query.placeOf(activeId) : -1
  active = place >= 0 ? place : Math.min(active, Math.max(0, query.total - 1))
  draw()
}
changes.addEventListener("remote", () => refresh().catch(() => {}))
changes.addEventListener("messages", () => draw())

// --- drawing -------------------------------------------------------------------------------------------

function draw() {
  if (!frame) frame = requestAnimationFrame(drawNow)
}

function drawNow() {
  frame = 0
  if (!query || query.total === null) return
  rowHeight = Math.round(parseFloat(getComputedStyle(list).getPropertyValue("--row")) * parseFloat(getComputedStyle(document.documentElement).fontSize))
  space.style.height = `${query.total * rowHeight}px`
  list.removeAttribute("aria-busy")
  $("empty").hidden = query.total > 0
  const first = Math.max(0, Math.floor(list.scrollTop / rowHeight) - OVERSCAN)
  const end = Math.min(query.total, Math.ceil((list.scrollTop + list.clientHeight) / rowHeight) + OVERSCAN)
  query.show(first, end)
  const rows = new Map([...space.children].map((row) => [row.dataset.key, row]))
  const shown = []
  for (let at = first; at < end; at++) shown.push(row(at, rows))
  if (shown.length !== space.children.length || shown.some((one, at) => space.children[at] !== one)) space.replaceChildren(...shown)
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
  const state = email && [at, selection.has(id), at === active, id === opened, query.total, members.map((one) => [one.id, Object.keys(one.keywords)]), snippet?.preview]
  const key = email ? `${id} ${JSON.stringify(state)}` : `place ${at}`
  const there = known.get(key)
  if (there) return there
  const element = email ? filled(email, members, at, snippet) : h("div", { className: "row waiting", role: "option", "aria-selected": "false", "aria-label": _("Loading") })
  element.id = `row-${at}`
  element.dataset.key = key
  element.dataset.at = at
  element.setAttribute("aria-posinset", at + 1)
  element.setAttribute("aria-setsize", query.total)
  element.style.transform = `translateY(${at * rowHeight}px)`
  return element
}

function filled(email, members, at, snippet) {
  const unread = members.some(isUnread)
  const flagged = members.some((one) => one.keywords.$flagged)
  const is = [unread && "unread", at === active && "active", email.id === opened && "opened"].filter(Boolean)
  const subject = email.subject || _("(no subject)")
  const element = h("div", { className: `row ${is.join(" ")}`, role: "option", draggable: true, "aria-selected": String(selection.has(email.id)) },
    h("span", { className: "check", "aria-hidden": "true" }, icon("check")),
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
  const names = members.map((one) => one.from?.[0]).filter(Boolean).map((one) => (one.email === boot.address ? _("me") : nameOf(one)))
  const all = [...new Set(names)]
  if (all.length <= 3) return all.join(", ") || _("(unknown sender)")
  return [all[0], "…", ...all.slice(-2)].join(" ")
}

// --- pointer and keys ------------------------------------------------------------------------------------

const placeAt = (event) => {
  const found = event.target.closest?.(".row")
  return found ? Number(found.dataset.at) : -1
}

list.addEventListener("scroll", draw, { passive: true })
new ResizeObserver(draw).observe(list)

list.addEventListener("click", (event) => {
  const at = placeAt(event)
  if (at < 0) return
  if (event.target.closest(".check") || event.ctrlKey || event.metaKey) {
    active = at
    toggle(at)
  } else if (event.shiftKey) setActive(at, { extend: true })
  else open(at)
})

export function open(at = active) {
  active = at
  const email = emails.get(query?.ids.get(at))
  if (email) events.dispatchEvent(new CustomEvent("open", { detail: email }))
  draw()
}

list.addEventListener("dragstart", (event) => {
  const at = placeAt(event)
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
    if (event.key === "a" && !event.altKey) { selectLoaded(); event.preventDefault() }
    return
  }
  if (event.key in steps) setActive(steps[event.key] === Infinity ? listTotal() : steps[event.key] === -Infinity ? 0 : active + steps[event.key], { extend: event.shiftKey })
  else if (event.key === "Enter") open()
  else if (event.key === " ") toggle()
  else if (event.key === "Escape" && selection.size) clearSelection()
  else return
  event.preventDefault()
  event.stopPropagation()
})
