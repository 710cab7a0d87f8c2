/* The page put together: the address (#...), what is shown, the toolbars, the search field, the keyboard.

| address            | shows                                              |
|--------------------|----------------------------------------------------|
| #F1                | a mailbox                                          |
| #F1;unread         | the same, filtered: unread, starred, attachments   |
| #q=words           | a search over all mailboxes but junk and trash     |
| #.../T5            | beside it, or on a phone instead, a conversation   |

Modules that the first view does not need are imported when they are. */

import * as actions from "./actions.js"
import { $, _, banner, boot, counted, focusFirst, iconButton, say, undoLast, unsay } from "./dom.js"
import { showFolders } from "./folders.js"
import { connection, shown } from "./jmap.js"
import * as list from "./list.js"
import { byRole, changes, look, mailboxName, mailboxes } from "./mail.js"
import { follow } from "./push.js"

const FILTERS = { unread: { notKeyword: "$seen" }, starred: { hasKeyword: "$flagged" }, attachments: { hasAttachment: true } }
const TYPING_MS = 180
const place = { where: "", filter: "", thread: "" }
let typing = 0

const load = (name) => import(name).catch(() => {
  banner(_("Pillarbox was updated."), _("Load the new version"), () => location.reload())
  throw new Error("a module is not there any more")
})
const reading = () => load("./reading.js")
const writing = () => load("./compose.js")

// --- the address ---------------------------------------------------------------------------------------

function parse(hash) {
  const [first, thread = ""] = hash.replace(/^#/, "").split("/")
  const [where, filter = ""] = first.split(";")
  const known = where.startsWith("q=") || mailboxes.has(where)
  return { where: known ? where : actions.inboxId() ?? "", filter: filter in FILTERS ? filter : "", thread: /^T\d+$/.test(thread) ? thread : "" }
}

const addressOf = ({ where, filter, thread }) => `#${where}${filter ? `;${filter}` : ""}${thread ? `/${thread}` : ""}`
export const go = (part) => { location.hash = addressOf({ ...place, ...part }) }
const words = (where) => (where.startsWith("q=") ? decodeURIComponent(where.slice(2)) : "")

async function route() {
  const wanted = parse(location.hash)
  const other = wanted.where !== place.where || wanted.filter !== place.filter
  const left = place.thread && !wanted.thread
  const thread = wanted.thread
  Object.assign(place, wanted)
  document.body.classList.remove("menu-open")
  shown.account = mailboxes.get(place.where)?.account ?? boot.account
  if (other) showList()
  document.body.classList.toggle("reading", Boolean(thread))
  if (thread) {
    const row = list.activeRow()
    await (await reading()).open(thread, row?.threadId === thread ? row.id : "")
  } else {
    list.markOpened("")
    if (document.documentElement.dataset.read) (await reading()).close()
    if (left) focusFirst($("list"))
  }
}

function showList() {
  const search = words(place.where)
  const filter = place.filter ? FILTERS[place.filter] : null
  if (document.activeElement !== $("query")) $("query").value = search
  const conditions = [search ? searchFilter(search) : { inMailbox: place.where }, ...(filter ? [filter] : [])]
  list.showQuery({ filter: conditions.length > 1 ? { operator: "AND", conditions } : conditions[0], search: Boolean(search) }, search ? null : place.where)
  $("where").textContent = search ? _("Found: %(words)s", { words: search }) : mailboxName(mailboxes.get(place.where))
  for (const button of document.querySelectorAll("#filters button")) button.setAttribute("aria-pressed", String(button.value === place.filter))
  drawFolders()
  title()
}

/** from:, to: and subject: look there; other words anywhere; all must be found. */
function searchFilter(text) {
  const conditions = []
  const rest = text.replace(/\b(from|to|subject):("[^"]*"|\S+)/g, (_all, name, value) => {
    conditions.push({ [name]: value.replace(/"/g, "") })
    return ""
  })
  for (const [, phrase, word] of rest.matchAll(/"([^"]+)"|(\S+)/g)) conditions.push({ text: phrase ?? word })
  const away = actions.FOUND_NOWHERE.map((role) => byRole(role)).filter(Boolean).map((one) => one.id)
  if (away.length) conditions.push({ inMailboxOtherThan: away })
  return conditions.length === 1 ? conditions[0] : { operator: "AND", conditions }
}

function title() {
  const unread = byRole("inbox")?.unreadThreads ?? 0
  document.title = `${unread ? `(${unread}) ` : ""}${$("where").textContent} · Pillarbox`
}

// --- what is done with what is chosen --------------------------------------------------------------------

/** The conversations an action is for: selected in the list, else the open one, else the active row. */
async function rows() {
  if (!list.selection.size && place.thread) {
    const open = (await reading()).current()
    if (open) return [open]
  }
  return list.chosen()
}

const act = (action) => async () => {
  const some = await rows()
  await action(some)
}

export const ACTIONS = [
  ["archive", "archive", "e", () => _("Archive"), act(actions.archive)],
  ["trash", "trash", "#", () => _("Delete"), act(actions.remove)],
  ["junk", "junk", "!", () => _("Junk"), act(actions.junk)],
  ["folder", "move", "v", () => _("Move to…"), act(actions.chooseMailbox)],
  ["read", "read", "u", () => _("Read or unread"), act((some) => actions.toggleRead(some))],
  ["star", "star", "s", () => _("Star or no star"), act(actions.toggleFlag)],
]

function tools() {
  const number = list.selection.size
  $("selected").hidden = !number
  $("filters").hidden = number > 0
  $("selected-count").textContent = number ? counted("%(number)s selected", "%(number)s selected", number) : ""
}

for (const [icon, name, key, label, run] of ACTIONS)
  $("selected").append(iconButton(icon, label(), run, { "data-action": name, "aria-keyshortcuts": key }))
$("selected").append(iconButton("close", _("Select nothing"), () => { list.clearSelection(); $("list").focus() }))

list.events.addEventListener("selection", tools)
list.events.addEventListener("open", ({ detail }) => {
  list.markOpened(detail.id)
  if (detail.keywords.$draft && mailboxes.get(place.where) === byRole("drafts")) writing().then((module) => module.edit(detail.id))
  else go({ thread: detail.threadId })
})
list.events.addEventListener("taken", async ({ detail }) => {
  if ($("selected").contains(document.activeElement)) $("list").focus()
  if (!place.thread) return
  const open = (await reading()).current()
  if (open && detail.has(open.id)) go({ thread: "" })
})

// --- search and filters ------------------------------------------------------------------------------------

$("query").addEventListener("input", () => {
  clearTimeout(typing)
  typing = setTimeout(search, TYPING_MS)
})
$("search").addEventListener("submit", (event) => {
  event.preventDefault()
  clearTimeout(typing)
  search()
  $("list").focus()
})

function search() {
  const text = $("query").value.trim()
  const where = text ? `q=${encodeURIComponent(text)}` : actions.inboxId()
  const address = addressOf({ where, filter: text ? place.filter : "", thread: "" })
  if (place.where.startsWith("q=")) history.replaceState(null, "", address)
  else history.pushState(null, "", address)
  route()
}

for (const button of document.querySelectorAll("#filters button")) button.onclick = () => go({ filter: button.value, thread: "" })

// --- the keyboard --------------------------------------------------------------------------------------------

const openBeside = (by) => {
  const row = list.step(by)
  if (row && place.thread) list.open()
}
const write = (how) => async () => {
  const module = await writing()
  if (!how) return module.write()
  const email = place.thread ? (await reading()).answered() : null
  if (email) module.answer(email, how)
}
export const KEYS = {
  j: [() => _("Next conversation"), () => openBeside(1)],
  k: [() => _("Conversation before"), () => openBeside(-1)],
  o: [() => _("Open"), () => list.open()],
  x: [() => _("Select or not"), () => list.toggle()],
  ...Object.fromEntries(ACTIONS.map(([, , key, label, run]) => [key, [label, run]])),
  Delete: [() => _("Delete"), ACTIONS[1][4]],
  z: [() => _("Undo"), () => undoLast()],
  "/": [() => _("Search"), () => $("query").focus()],
  c: [() => _("Write a message"), write("")],
  r: [() => _("Reply"), write("reply")],
  a: [() => _("Reply to all"), write("all")],
  f: [() => _("Forward"), write("forward")],
  g: [() => _("To the inbox"), () => go({ where: actions.inboxId(), filter: "", thread: "" })],
  "?": [() => _("Keyboard"), async () => (await load("./keyboard.js")).showKeys(KEYS)],
  Escape: [() => _("Back to the list"), () => { unsay(); if (place.thread) go({ thread: "" }); else $("list").focus() }],
}

document.addEventListener("keydown", (event) => {
  const inField = event.target.closest("input, textarea, select, dialog, [contenteditable]")
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
  if (inField && !(event.key === "Escape" && event.target.id === "query")) return
  if (event.key.length === 1 && localStorage.getItem("keys") === "off" && event.key !== "?") return
  const found = KEYS[event.key]
  if (!found) return
  event.preventDefault()
  found[1]()
})

/** The service worker, where the browser trusts the certificate and has one; without it everything works the same. */
function install() {
  const url = "/mail/worker.js"
  const policy = globalThis.trustedTypes?.createPolicy("service-worker", { createScriptURL: () => url })
  navigator.serviceWorker?.register(policy ? policy.createScriptURL(url) : url, { scope: "/mail/" }).catch(() => {})
}

// --- begin -------------------------------------------------------------------------------------------------

$("menu").onclick = () => {
  const open = document.body.classList.toggle("menu-open")
  $("menu").setAttribute("aria-expanded", String(open))
  if (open) $("folder-list").querySelector("[aria-current]")?.focus()
}
for (const button of document.querySelectorAll(".write")) button.onclick = write("")
$("back").onclick = () => go({ thread: "" })
const hasKept = () => Object.keys(localStorage).some((key) => key.startsWith(`draft ${boot.address} `))
$("sign-out").addEventListener("submit", async (event) => {
  if (!hasKept()) return
  event.preventDefault()
  if (await (await writing()).leave()) event.target.submit()
})
$("keyboard").onclick = () => KEYS["?"][1]()
$("notifications").onclick = async () => (await load("./notifications.js")).show()

const drawFolders = showFolders(() => place.where, list.dragged)
changes.addEventListener("mailboxes", () => (place.where.startsWith("q=") || mailboxes.has(place.where) ? title() : route()))
addEventListener("hashchange", route)
addEventListener("popstate", route)
addEventListener("unhandledrejection", (event) => {
  if (event.reason?.name === "Error") say(_("That did not work: %(why)s", { why: event.reason.message }), { fault: true })
})
connection.addEventListener("online", () => list.refresh().catch(() => {}))
route()
addEventListener("load", () => { follow(look); install() })  // the first list comes first
if (hasKept()) writing().then((module) => module.offer()).catch(() => {})
navigator.serviceWorker?.addEventListener("message", ({ data }) => {
  if (data.thread) go({ where: actions.inboxId(), filter: "", thread: data.thread })
})
if (localStorage.getItem(`notifications ${boot.address}`)) load("./notifications.js").then((module) => module.renew()).catch(() => {})
document.documentElement.dataset.ready = "1"
