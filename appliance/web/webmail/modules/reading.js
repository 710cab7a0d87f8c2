/* The reading pane: a conversation, oldest message first; unread ones and the last are open, the others a line.

A message's text is a document of its own in a frame (the server cleaned it, and no script runs in it); this page reads the frame's
height and the facts in its root element: remote images left out, invitation, authentication. Attachments are listed below. */

import { $, _, addressText, ask, boot, focusFirst, fullDate, h, icon, iconButton, nameOf, plain, say, shortDate } from "./dom.js"
import { MethodError, mayUse, request, shown as place } from "./jmap.js"
import { ROW, changes, changesKnown, emails, isOwn, isUnread, isWaiting, keepEmails, keepOpen, keepThreads, mailboxes, readMembers, threads } from "./mail.js"
import { ACTIONS, load } from "./main.js"
import { markSeen } from "./actions.js"
import { attachmentList } from "./attachments.js"
import { factLines } from "./facts.js"

const SHOWN = [...ROW, "cc", "bcc", "replyTo", "sentAt", "messageId", "references", "attachments", "htmlBody"]
const PARTS = ["partId", "blobId", "name", "type", "cid", "disposition", "charset"]
const ASKED = { properties: SHOWN, bodyProperties: PARTS }
const SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
const MOST_OPEN = 5
const FRAME_PX = 30000
const LOOK_MS = 30
/** No paper is narrower, within its margins. */
const PAPER = "36rem"
/** What makes a frame as high as its text. */
const fits = new WeakMap()
const pane = $("conversation")

let thread = ""
let row = ""
let shown = new Map()
/** What stands in place of the conversation, if it could not be read. */
let absent = ""
const GONE = () => _("This conversation is not there any more.")
/** Something came from elsewhere while the conversation was being read. */
let late = false
/** How often it was looked after: of several at once the last one counts. */
let looks = 0

/** The row of the conversation that is open; its newest message where the list does not have it. */
export const current = () => (thread ? emails.get(row) ?? emails.get((threads.get(thread) ?? []).at(-1)) : null)

/** The message a reply is to: the open one that was looked at last, else the newest that is no draft. */
export function answered() {
  const focused = document.activeElement?.closest?.("[data-email]")?.dataset.email
  const known = [...shown.keys()].map((id) => emails.get(id)).filter(Boolean)
  return emails.get(focused) ?? known.findLast(({ keywords }) => !keywords.$draft) ?? known.at(-1)
}

export async function open(wanted, inList) {
  row = inList
  if (wanted === thread) return
  thread = wanted
  keepOpen(thread)
  absent = ""
  document.documentElement.dataset.read = "1"
  pane.setAttribute("aria-busy", "true")
  const list = await read(wanted).catch((fault) => {
    if (wanted === thread) instead(_("This conversation could not be read. Without a connection it is shown when there is one."))
    throw fault
  })
  if (wanted !== thread) return
  if (!list.length) return instead(GONE())
  pane.removeAttribute("aria-busy")
  const shownOnes = list.filter((one) => !isWaiting(one))
  draw(shownOnes.length ? shownOnes : list)
  if (late) follow()
}

/** The messages of a conversation, oldest first; none when it is gone. */
async function read(wanted) {
  const account = place.account, known = changesKnown()
  const [found, got] = await request([
    ["Thread/get", { ids: [wanted] }],
    ["Email/get", { "#ids": { resultOf: "0", name: "Thread/get", path: "/list/*/emailIds" }, ...ASKED }],
  ], { account })
  if (found instanceof MethodError || !found.list.length) return []
  const { list } = got instanceof MethodError ? await readMembers(found, { account }, ASKED) : got  // they may be more than one call reads
  keepThreads(found.list)
  keepEmails(list, account, known)
  const each = found.list[0].emailIds.map((id) => list.find((one) => one.id === id)).filter(Boolean)
  return each.map((one) => ({ ...one, ...emails.get(one.id) }))  // with what this tab changed since
}

/** Why nothing can be done with the conversation that is open. */
export const absence = () => absent || GONE()

/** In place of a conversation, which is asked for again when it is opened, and when there is a connection. */
function instead(sentence) {
  close()
  absent = sentence
  pane.firstChild.textContent = sentence
}

export function close() {
  thread = row = absent = ""
  keepOpen("")
  shown = new Map()
  pane.removeAttribute("aria-busy")
  pane.replaceChildren(h("p", { className: "dim nothing" }, _("Choose a conversation to read it here.")))
  $("reading-tools").replaceChildren()
}

function draw(list) {
  shown = new Map()
  const openOnes = new Set([list.at(-1).id, ...list.filter(isUnread).slice(-MOST_OPEN).map((one) => one.id)])
  const articles = list.map((email) => article(email, openOnes.has(email.id)))
  const heading = h("h1", { id: "subject", className: "subject", tabIndex: -1 }, list[0].subject || _("(no subject)"))
  pane.replaceChildren(heading, ...articles, answers())
  $("reading-tools").replaceChildren(...ACTIONS.map(([name, action, key, label, run]) => iconButton(name, label(), run, { "data-action": action, "aria-keyshortcuts": key })),
    iconButton("print", _("Print"), () => print()))
  const unread = list.filter((one) => openOnes.has(one.id) && isUnread(one))
  if (unread.length) markSeen(unread)
  if (document.activeElement === document.body || matchMedia("(max-width: 47.99rem)").matches) heading.focus({ preventScroll: true })
  const first = articles.find((one) => one.classList.contains("open"))
  pane.parentElement.scrollTop = articles.length > 1 && first && first !== articles[0] ? first.offsetTop - pane.offsetTop - 56 : 0
}

const answers = () => h("p", { className: "buttons answers" },
  [["reply", _("Reply")], ["all", _("Reply to all")], ["forward", _("Forward")]].map(([how, label], at) =>
    h("button", { type: "button", className: at ? "quiet" : "", onclick: () => answer(answered(), how) }, icon(how), label)))

async function answer(email, how) {
  if (!email) return say(absence(), { fault: true })
  ;(await load("./compose.js")).answer(email, how)
}

function article(email, isOpen) {
  const from = email.from?.[0] ?? { name: "", email: _("unknown sender") }
  const head = h("button", { type: "button", className: "head", "aria-expanded": String(isOpen) },
    h("span", { className: "who" }, isOwn(email) ? _("Me") : nameOf(from)),
    h("time", { dateTime: email.receivedAt }, shortDate(email.receivedAt)),
    h("span", { className: "preview" }, email.preview))
  const element = h("article", { className: isOpen ? "open" : "", "data-email": email.id, "aria-label": _("Message from %(name)s", { name: nameOf(from) }) }, head)
  head.onclick = () => {
    const open = element.classList.toggle("open")
    head.setAttribute("aria-expanded", String(open))
    if (open && element.children.length === 1) element.append(...content(email, from, element))
    const now = emails.get(email.id) ?? email
    if (open && isUnread(now)) markSeen([now])
  }
  if (isOpen) element.append(...content(email, from, element))
  shown.set(email.id, element)
  return element
}

function content(email, from, element) {
  const facts = h("div", { className: "facts-of" })
  const holder = h("div", { className: "text-of" })
  const state = { images: false, text: false }
  const show = () => holder.replaceChildren(frameOf(email, state, (found) => {
    const left = facts.contains(document.activeElement)
    facts.replaceChildren(...factLines(found, from, (images) => { state.images = images; show() }))
    if (left) focusFirst(facts.querySelector("button"), element.querySelector(".head"))
  }))
  show()
  const delivery = h("div", { className: "facts-of" })
  if (mayUse("submission") && wasSent(email)) import("./delivery.js").then((module) => module.showDelivery(email.id, delivery))
  return [addresses(email, from, state, show), delivery, facts, holder, attachmentList(email)]
}

const wasSent = (email) => Object.keys(email.mailboxIds).some((id) => ["sent", "scheduled"].includes(mailboxes.get(id)?.role))

function addresses(email, from, state, show) {
  const list = (name) => (email[name] ?? []).map(addressText).join(", ")
  const rows = [[_("From"), list("from") || addressText(from)], [_("To"), list("to")], [_("Cc"), list("cc")], [_("Bcc"), list("bcc")], [_("Reply to"), list("replyTo")],
    [_("Sent"), email.sentAt && fullDate(email.sentAt)], [_("Received"), fullDate(email.receivedAt)]]
  const to = (email.to ?? []).map((one) => (one.email === boot.address ? _("me") : nameOf(one))).join(", ")
  const base = `${place.account}/${email.blobId}`
  return h("details", { className: "addresses" },
    h("summary", {}, _("%(from)s to %(to)s", { from: plain(email.from?.map((one) => one.email).join(", ") || from.email), to: to || _("nobody named") })),
    h("dl", { className: "facts" }, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    h("p", { className: "buttons" },
      h("button", { type: "button", className: "quiet", onclick: () => { state.text = !state.text; show() } }, _("Plain text or not")),
      h("button", { type: "button", className: "quiet", onclick: () => headers(email) }, _("Headers")),
      h("a", { className: "button quiet", href: `/mail/source/${base}`, target: "_blank", rel: "noopener" }, _("Source")),
      h("a", { className: "button quiet", href: `/jmap/download/${base}/message.eml?accept=message/rfc822`, download: "message.eml" }, _("Save"))))
}

async function headers(email) {
  const [got] = await request([["Email/get", { ids: [email.id], properties: ["headers"] }]], { account: place.account })
  const rows = got.list?.[0]?.headers.map((one) => [h("dt", {}, one.name), h("dd", {}, one.value.trim())]) ?? []
  await ask(_("Headers"), h("dl", { className: "facts headers" }, rows), [], _("Close"))
}

/** The frame; `told` gets the facts of its document. Its height follows its content, as images come and quotes unfold. */
function frameOf(email, state, told) {
  const query = new URLSearchParams({ ...(state.images ? { images: "1" } : {}), ...(state.text ? { text: "1" } : {}) })
  const frame = h("iframe", { sandbox: SANDBOX, title: _("Text of the message"), src: `/mail/message/${place.account}/${email.id}?${query}` })
  const begin = () => {
    const root = frame.contentDocument?.documentElement
    if (!root?.dataset.facts || frame.contentDocument.readyState === "loading") return false
    clearInterval(looking)
    frame.onload = null
    const fit = () => {
      const body = frame.contentDocument?.body
      if (!body) return
      const height = body.scrollHeight + 8
      frame.style.height = `${Math.min(height, FRAME_PX)}px`
      root.style.overflowY = height > FRAME_PX ? "auto" : ""  // what is longer scrolls for itself
    }
    fits.set(frame, fit)
    listen(frame.contentDocument)
    frame.contentDocument.addEventListener("load", fit, true)  // of a picture that is higher than the box around it
    new ResizeObserver(fit).observe(frame.contentDocument.body)
    new ResizeObserver(fit).observe(frame)
    fit()
    told(JSON.parse(root.dataset.facts))
    return true
  }
  const looking = setInterval(() => (frame.isConnected ? begin() : clearInterval(looking)), LOOK_MS)  // `load` waits for images, which may take long
  frame.onload = () => {
    clearInterval(looking)
    if (!begin()) say(_("The text of this message could not be read."), { fault: true })
  }
  return frame
}

/** No script runs in the frame, but this page hears what happens in it: keys do what they do elsewhere, addresses of mail open here. */
function listen(inside) {
  inside.addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, altKey, shiftKey } = event
    if (ctrlKey || metaKey || altKey || ["Tab", "Enter", " "].includes(key)) return
    if (!document.body.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey, bubbles: true, cancelable: true }))) event.preventDefault()
  })
  inside.addEventListener("click", async (event) => {
    const address = event.target.closest?.("a")?.href ?? ""
    if (!address.startsWith("mailto:")) return
    event.preventDefault()
    const [, to, query = ""] = address.match(/^mailto:([^?]*)\??(.*)/s)
    const asked = new URLSearchParams(query.replaceAll("+", "%2B"))  // RFC 6068 §2: no form, a plus is a plus
    ;(await load("./compose.js")).write({ to: unescaped(to), cc: asked.get("cc") ?? "", bcc: asked.get("bcc") ?? "", subject: asked.get("subject") ?? "", text: asked.get("body") ?? "" })
  })
}

/** As it stands where it is no UTF-8. */
function unescaped(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A frame keeps its height when it is printed: it is laid out as wide as paper before, or the end of its text would be cut off. On paper
stands as well who wrote to whom, and when. */
let unfolded = []
addEventListener("beforeprint", () => {
  unfolded = [...pane.querySelectorAll("article.open .addresses:not([open])")]
  for (const one of unfolded) one.open = true
  pane.style.width = PAPER
  for (const frame of pane.querySelectorAll("article.open iframe")) fits.get(frame)?.()
})
addEventListener("afterprint", () => {
  for (const one of unfolded) one.open = false
  pane.style.width = ""
})

/** Messages of the conversation came or went, as a draft does at each save: what stands for one that was open is open. When all went, what is
shown stays. */
async function follow() {
  late = pane.hasAttribute("aria-busy")
  if (!thread || late) return
  const wanted = thread, look = ++looks, known = changesKnown()
  const [found] = await request([["Thread/get", { ids: [wanted] }]], { account: place.account }).catch(() => [null])
  if (!found || found instanceof MethodError || wanted !== thread || !found.list.length) return
  const members = found.list[0].emailIds
  const missing = members.filter((id) => !shown.has(id))
  const [got] = missing.length ? await request([["Email/get", { ids: missing, ...ASKED }]], { account: place.account }) : [{ list: [] }]
  if (got instanceof MethodError || wanted !== thread || look !== looks) return
  keepThreads(found.list)
  keepEmails(got.list, place.account, known)
  const gone = [...shown.keys()].filter((id) => !members.includes(id))
  const wasOpen = gone.some((id) => shown.get(id).classList.contains("open"))
  const come = got.list.filter((one) => !isWaiting(one) && !shown.has(one.id))
  for (const email of come) pane.insertBefore(article(email, isCopyOfOpen(email) || (wasOpen && email === come.at(-1))), pane.querySelector(".answers"))
  for (const id of gone) takeOut(id)
}
changes.addEventListener("remote", follow)

/** What is made in place of a message has its Message-ID, and may come before that one goes. */
const isCopyOfOpen = ({ messageId }) => messageId?.length > 0 &&
  [...shown].some(([id, element]) => element.classList.contains("open") && emails.get(id)?.messageId?.[0] === messageId[0])

function takeOut(id) {
  const element = shown.get(id)
  const left = element.contains(document.activeElement)
  shown.delete(id)
  element.remove()
  if (left) focusFirst($("subject"))
}
