/* The page put together: the address (#...), what is shown, the toolbars, the search field, the keyboard.

| address            | shows                                              |
|--------------------|----------------------------------------------------|
| #F1                | a mailbox                                          |
| #F1;unread         | the same, filtered: unread, starred, attachments   |
| #q=words           | a search over all mailboxes but junk and trash     |
| #qA2=words         | the same over what another shares                  |
| #.../T5            | beside it, or on a phone instead, a conversation   |

Modules that the first view does not need are imported when they are. */

import * as actions from "./actions.js"
import { $, _, boot, counted, focusFirst, iconButton, say, undoLast, unsay } from "./dom.js"
import { showFolders } from "./folders.js"
import { Offline, call, checkVersion, connection, reach, shown } from "./jmap.js"
import * as list from "./list.js"
import { byRole, changes, look, mailboxName, mailboxes, shared } from "./mail.js"
import { follow } from "./push.js"

const FILTERS = { unread: { notKeyword: "$seen" }, starred: { hasKeyword: "$flagged" }, attachments: { hasAttachment: true } }
const TYPING_MS = 180
const MOST_WORDS = 50
const PREPARE_MS = 1000
const place = { where: "", filter: "", thread: "" }
let typing = 0
/** Where a search began: emptied, it leads back. */
let before = { where: actions.inboxId() ?? "", filter: "" }

/** A module of an older version is not there any more; one that did not come through is asked for again. */
export const load = (name) => import(name).catch(async () => {
  const version = await reach()
  if (version === boot.version) return import(name).catch(() => { throw new Offline() })
  checkVersion(version)
  throw new Error("a module is not there any more")
})
const reading = () => load("./reading.js")
const writing = () => load("./compose.js")

// --- the address ---------------------------------------------------------------------------------------

function parse(hash) {
  const [first, thread = ""] = hash.replace(/^#/, "").split("/")
  const [where, filter = ""] = first.split(";")
  const inbox = actions.inboxId() ?? ""
  if (where && !searchOf(where).text.trim() && !mailboxes.has(where)) return { where: inbox, filter: "", thread: "" }  // it was deleted
  return { where: where || inbox, filter: Object.hasOwn(FILTERS, filter) ? filter : "", thread: /^T\d+$/.test(thread) ? thread : "" }
}

const addressOf = ({ where, filter, thread }) => `#${where}${filter ? `;${filter}` : ""}${thread ? `/${thread}` : ""}`
export const go = (part) => { location.hash = addressOf({ ...place, ...part }) }
/** Reading is one step of the history, whatever is read one after the other: back leads to the list, as does the button. */
function read(thread) {
  if (place.thread) {
    history.replaceState(history.state, "", addressOf({ ...place, thread }))
    route()
  } else {
    go({ thread })
    history.replaceState({ list: true }, "")
  }
}
const toList = () => (history.state?.list ? history.back() : go({ thread: "" }))

/** What is searched for, and in which account; "" for a mailbox, and for what is shared no more. */
function searchOf(where) {
  const [, account = boot.account, text = ""] = where.match(/^q(A\d+)?=(.*)$/s) ?? []
  try {
    return { account, text: account === boot.account || shared.has(account) ? decodeURIComponent(text) : "" }
  } catch {
    return { account, text: "" }  // typed by hand
  }
}

const menuIsOpen = () => document.body.classList.contains("menu-open")
function openMenu(open) {
  document.body.classList.toggle("menu-open", open)
  $("menu").setAttribute("aria-expanded", String(open))
}

async function route() {
  const wanted = parse(location.hash)
  if (location.hash && location.hash !== addressOf(wanted)) history.replaceState(history.state, "", addressOf(wanted))
  const other = wanted.where !== place.where || wanted.filter !== place.filter
  const left = place.thread && !wanted.thread
  const thread = wanted.thread
  Object.assign(place, wanted)
  openMenu(false)
  shown.account = mailboxes.get(place.where)?.account ?? searchOf(place.where).account
  if (other) showList()
  document.body.classList.toggle("reading", Boolean(thread))
  if (thread) {
    const row = list.activeRow(), module = await reading()
    if (place.thread === thread) await module.open(thread, row?.threadId === thread ? row.id : "")
  } else {
    list.markOpened("")
    if (document.documentElement.dataset.read) (await reading()).close()
    if (left) focusFirst($("list"))
  }
}

function showList() {
  const search = searchOf(place.where).text
  const filter = place.filter ? FILTERS[place.filter] : null
  if ($("query").value.trim() !== search) $("query").value = search
  const conditions = [search ? searchFilter(search) : { inMailbox: place.where }, ...(filter ? [filter] : [])]
  list.showQuery({ filter: conditions.length > 1 ? { operator: "AND", conditions } : conditions[0], search: Boolean(search) }, search ? null : place.where)
  $("mailbox").hidden = Boolean(search)
  for (const button of document.querySelectorAll("#filters button")) button.setAttribute("aria-pressed", String(button.value === place.filter))
  drawFolders()
  title()
}

/** from:, to: and subject: look there; other words anywhere; all must be found, of a long text those at its beginning (the server has a
limit). A quote that is not closed is still being typed. */
function searchFilter(text) {
  const conditions = []
  const rest = text.replace(/\b(from|to|subject):("[^"]*(?:"|$)|\S+)/gi, (_all, name, value) => {
    conditions.push({ [name.toLowerCase()]: value.replace(/"/g, "") })
    return ""
  })
  for (const [, phrase, word] of rest.matchAll(/"([^"]+)(?:"|$)|(\S+)/g)) conditions.push({ text: phrase ?? word })
  conditions.splice(MOST_WORDS)
  const away = actions.FOUND_NOWHERE.map((role) => byRole(role, shown.account)).filter(Boolean).map((one) => one.id)
  if (away.length) conditions.push({ inMailboxOtherThan: away })
  return conditions.length === 1 ? conditions[0] : { operator: "AND", conditions }
}

function title() {
  const { account, text } = searchOf(place.where)
  const found = text && [_("Found: %(words)s", { words: text }), shared.has(account) && actions.sharedBy(shared.get(account).name)].filter(Boolean).join(" · ")
  $("where").textContent = found || mailboxName(mailboxes.get(place.where))
  const unread = byRole("inbox")?.unreadThreads ?? 0
  document.title = `${unread ? `(${unread}) ` : ""}${$("where").textContent} · Pillarbox`
}

// --- what is done with what is chosen --------------------------------------------------------------------

/** The conversations an action is for: selected in the list, else the open one, else the active row. */
async function rows() {
  if (!list.selection.size && place.thread) {
    const open = (await reading()).current()
    if (!open) say((await reading()).absence(), { fault: true })
    return open ? [open] : []
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

/** A draft that is being written elsewhere is another message after each save there. */
async function editDraft(id) {
  const module = await writing()
  try {
    await module.edit(id)
  } catch (fault) {
    const { notFound } = await call("Email/get", { ids: [id], properties: ["id"] })
    if (!notFound.length) throw fault
    await list.refresh()
    say(_("This draft was changed or deleted elsewhere. The list shows what is there now."), { fault: true })
  }
}

list.events.addEventListener("selection", tools)
list.events.addEventListener("open", ({ detail }) => {
  list.markOpened(detail.threadId)
  if (detail.keywords.$draft && mailboxes.get(place.where) === byRole("drafts")) editDraft(detail.id)
  else read(detail.threadId)
})
list.events.addEventListener("taken", async ({ detail }) => {
  if ($("selected").contains(document.activeElement)) $("list").focus()
  if (!place.thread) return
  const open = (await reading()).current()
  if (open && detail.has(open.id)) toList()
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
  const searching = Boolean(searchOf(place.where).text)
  if (!text && !searching) return
  if (!searching) before = { where: place.where, filter: place.filter }
  const account = shown.account === boot.account ? "" : shown.account
  const address = addressOf({ ...(text ? { where: `q${account}=${encodeURIComponent(text)}`, filter: place.filter } : before), thread: "" })
  if (searching) history.replaceState(null, "", address)
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
  else if (place.thread) say((await reading()).absence(), { fault: true })
}
function escape() {
  unsay()
  if (menuIsOpen()) {
    openMenu(false)
    $("menu").focus()
  } else if (place.thread) toList()
  else $("list").focus()
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
  Escape: [() => _("Back to the list"), escape],
}

document.addEventListener("keydown", (event) => {
  const inField = event.target.closest("input, textarea, select, dialog, [contenteditable], #composer")
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

/** What reading and writing need is loaded before it is asked for: the connection may be gone by then. */
async function prepare() {
  await Promise.all([import("./reading.js"), import("./compose.js")]).catch(() => {})
  document.documentElement.dataset.ready = "1"
}

// --- begin -------------------------------------------------------------------------------------------------

$("menu").onclick = () => {
  const open = !menuIsOpen()
  openMenu(open)
  if (open) $("folder-list").querySelector("[aria-current]")?.focus()
}
for (const button of document.querySelectorAll(".write")) button.onclick = write("")
$("back").onclick = toList
document.querySelector(".skip").onclick = (event) => {  // its address is no mailbox
  event.preventDefault()
  focusFirst($("list"), $("subject"))
}
const hasKept = () => Object.keys(localStorage).some((key) => key.startsWith(`draft ${boot.address} `))
$("sign-out").addEventListener("submit", async (event) => {
  if (!hasKept()) return
  event.preventDefault()
  if (await (await writing()).leave()) event.target.submit()
})
if (sessionStorage.getItem("sign-out")) {  // asked for on another page
  sessionStorage.removeItem("sign-out")
  $("sign-out").requestSubmit()
}
$("keyboard").onclick = () => KEYS["?"][1]()
const managing = () => load("./manage.js")
$("mailbox").onclick = async () => (await managing()).showMailbox(place.where)
$("new-mailbox").onclick = async () => (await managing()).newMailbox()
$("identities").onclick = async () => (await load("./identities.js")).showIdentities()
$("notifications").onclick = async () => (await load("./notifications.js")).show()

const drawFolders = showFolders(() => place.where, list.dragged)
changes.addEventListener("mailboxes", () => (searchOf(place.where).text || mailboxes.has(place.where) ? title() : route()))
addEventListener("hashchange", route)
addEventListener("popstate", route)
addEventListener("unhandledrejection", (event) => {
  const isSaid = event.reason instanceof Offline && !$("said").hidden  // by the banner; what is offered stays
  if (event.reason?.name === "Error" && !isSaid) say(_("That did not work: %(why)s", { why: event.reason.message }), { fault: true })
})
connection.addEventListener("online", () => { route(); list.refresh().catch(() => {}) })
route()
addEventListener("load", () => { follow(look); install(); setTimeout(prepare, PREPARE_MS) })  // the first list comes first
if (hasKept()) writing().then((module) => module.offer()).catch(() => {})
navigator.serviceWorker?.addEventListener("message", ({ data }) => {
  if (data.thread) go({ where: actions.inboxId(), filter: "", thread: data.thread })
})
if (localStorage.getItem(`notifications ${boot.address}`)) load("./notifications.js").then((module) => module.renew()).catch(() => {})
