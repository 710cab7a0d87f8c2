/* What this tab knows of the mail: mailboxes, rows of messages, threads; each as the server last said. Mailboxes that others share are
there as well, by their accounts; ids are the server's, so none is used twice.

Rows are kept for ROWS messages, or more (WINDOWS), and those of the conversation that is open. Whoever shows something listens to `changes`: `mailboxes` when counts or names
changed, `messages` when rows did, `remote` when something came from elsewhere and lists have to look again, `others` when more than mail
may have changed. */

import { _, boot } from "./dom.js"
import { MethodError, call, connection, limits, request, send, session, shown } from "./jmap.js"

export const ROW = boot.list.reading[0][1].properties
const MEMBER = boot.list.reading[2][1].properties
const ROWS = 4000
/** Conversations may have so many messages that those in sight are more: then rows of so many windows of a list are kept. */
const WINDOWS = 4
let most = ROWS
/** The conversation that is open, whatever the list read since. */
let open = ""
export const keepOpen = (thread) => { open = thread }
/** All that changes of a message (RFC 8621 §4.1.1). */
const CHANGING = ["mailboxIds", "keywords"]
const NAMES = () => ({
  inbox: _("Inbox"), drafts: _("Drafts"), scheduled: _("Scheduled"), sent: _("Sent"), archive: _("Archive"), junk: _("Junk"), trash: _("Trash"),
})

export const changes = new EventTarget()
export const mailboxes = new Map()
export const emails = new Map()
export const threads = new Map()
export const states = { Email: "", Mailbox: "" }

const tell = (name) => changes.dispatchEvent(new Event(name))

/** The accounts that share mailboxes, each with its name and the state of its mailboxes. */
export const shared = new Map()

const mailboxesOf = (account) => [...mailboxes.values()].filter((one) => one.account === account)

function keepMailboxes(response, account = boot.account) {
  if (account !== boot.account && !shared.has(account)) return  // shared no more since it was asked
  for (const one of mailboxesOf(account)) mailboxes.delete(one.id)
  for (const one of response.list) mailboxes.set(one.id, { ...one, account })
  if (account === boot.account) states.Mailbox = response.state
  else shared.get(account).state = response.state
}
keepMailboxes(boot.mailboxes)
for (const { account, name, mailboxes: found } of boot.shared) {
  shared.set(account, { name })
  keepMailboxes(found, account)
}

export const byRole = (role, account = boot.account) => mailboxesOf(account).find((one) => one.role === role)
export const mailboxName = (one) => (one.role && NAMES()[one.role]) || one.name

/** May the user do this with a message: is the right there for each mailbox it is in (RFC 8621 §2)? */
export const allows = (email, right) => Object.keys(email.mailboxIds).every((id) => mailboxes.get(id)?.myRights[right] ?? true)

/** Mailboxes as they are listed: those with a role first, then by name, each below the one it is in; with `depth`. */
export function listed(account = boot.account) {
  const rows = []
  const add = (parent, depth) => {
    const level = mailboxesOf(account).filter((one) => (one.parentId ?? null) === parent)
    level.sort((a, b) => a.sortOrder - b.sortOrder || mailboxName(a).localeCompare(mailboxName(b)))
    for (const one of level) {
      rows.push({ mailbox: one, depth })
      add(one.id, depth + 1)
    }
  }
  add(null, 0)
  return rows
}

/** The mailbox of a role, made when there is none in one's own account. */
export async function wanted(role, account = boot.account) {
  if (account !== boot.account) return byRole(role, account)
  if (!byRole(role)) {
    const names = { archive: "Archive", junk: "Junk", trash: "Trash", drafts: "Drafts", sent: "Sent" }
    await call("Mailbox/set", { create: { made: { name: names[role], role } } })
    await readMailboxes()
  }
  return byRole(role)
}

export async function readMailboxes() {
  keepMailboxes(await call("Mailbox/get", { ids: null }))
  tell("mailboxes")
}

/** `known`: as `changesKnown` was when the rows were asked for; a later change of this tab is not undone by them. */
export function keepEmails(list, account = boot.account, known = begun) {
  for (const one of list) {
    const before = emails.get(one.id)
    emails.delete(one.id)
    emails.set(one.id, before?.change > known ? { ...one, ...before } : { ...before, ...one, account })
  }
  for (const [id, { threadId }] of emails) {
    if (emails.size <= most) break
    if (!open || threadId !== open) emails.delete(id)
  }
}

export function keepThreads(list) {
  for (const one of list) threads.set(one.id, one.emailIds)
  for (const id of threads.keys()) {
    if (threads.size <= most) break
    if (id !== open) threads.delete(id)
  }
}

/** Calls that read a window of a query with rows, threads and their members (RFC 8621 §4.10). */
export const readingCalls = (query) => [["Email/query", query], ...boot.list.reading]

export function keepReading([, rows, found, members], account, known) {
  if (members && !(members instanceof MethodError)) {
    most = Math.max(most, WINDOWS * members.list.length)
    keepEmails(members.list, account, known)
  }
  if (found && !(found instanceof MethodError)) keepThreads(found.list)
  if (rows && !(rows instanceof MethodError)) {
    keepEmails(rows.list, account, known)
    if (account === boot.account) states.Email ||= rows.state  // later ones are no news of the rows that are not in the answer
  }
}

/** The members of so many conversations that one call is not enough, or of one so long; `asked`: what of them. */
export async function readMembers(found, options, asked = { properties: MEMBER }) {
  const ids = found.list.flatMap((one) => one.emailIds)
  const list = []
  for (let at = 0; at < ids.length; at += limits.maxObjectsInGet) {
    const got = await call("Email/get", { ids: ids.slice(at, at + limits.maxObjectsInGet), ...asked }, options)
    list.push(...got.list)
  }
  return { list }
}

/** Members of a message's conversation, oldest first, as far as they are known. */
export const conversation = (email) => isWaiting(email) ? [email] : (threads.get(email.threadId) ?? [email.id]).map((id) => emails.get(id)).filter((one) => one && !isWaiting(one))

/** The copy in the queue of a message that is not sent yet: it stands in Sent as well. */
export const isWaiting = (email) => Object.keys(email.mailboxIds).every((id) => mailboxes.get(id)?.role === "scheduled")

const OWN_ROLES = ["sent", "drafts", "scheduled"]

/** Written by the user. Anybody can write any address into From, so the place counts as well: what arrived is nobody's own. */
export const isOwn = (email) => email.from?.[0]?.email === boot.address && Object.keys(email.mailboxIds).some((id) => OWN_ROLES.includes(mailboxes.get(id)?.role))

export const isUnread = (email) => !email.keywords.$seen && !email.keywords.$draft

/** The state up to which everything shown is current; equal states mean that nothing changed. */
let seen = boot.mailboxes.state

/** The change of this tab that is under way. */
let changing = Promise.resolve()
/** How many of them were begun, how many are under way, and how many were begun when last none was. */
export let begun = 0
let underWay = 0, over = 0
/** What each message waits for that is being changed. */
const busy = new Map()

/** How many changes the answer to what is asked now knows for certain. */
export const changesKnown = () => (underWay ? over : begun)

/** Until none is under way. */
export async function settled() {
  for (let last = null; last !== changing;) await (last = changing)
}

/** Something may have changed on the server, where the state is `told` if that is known: read what this tab shows, if so. */
export async function look(told = "") {
  if (!told) tell("others")
  await changing
  if (told && told === seen) return
  const sharing = await lookAtShared()
  const calls = [["Mailbox/get", { ids: null }]]
  if (states.Email) calls.push(["Email/changes", { sinceState: states.Email, maxChanges: ROWS }])
  let before, boxes, changed
  do {  // an answer from before a change would undo it here
    await settled()
    before = begun
    ;[boxes, changed] = await request(calls)
  } while (before !== begun)
  if (!(boxes instanceof MethodError)) {
    if (boxes.state === seen && !sharing) return
    seen = boxes.state
    keepMailboxes(boxes)
  }
  const news = changed instanceof MethodError || changed?.hasMoreChanges ? null : changed
  const known = news ? news.updated.filter((id) => emails.has(id)) : [...emails.values()].filter(({ account }) => account === boot.account).map(({ id }) => id)
  await readChanged(known)
  for (const id of news?.destroyed ?? []) emails.delete(id)
  if (states.Email) states.Email = news?.newState ?? boxes.state ?? ""
  tell("mailboxes")
  tell("messages")
  tell("remote")
}

/** Read again what changes of these messages; those that are gone are known no more. */
async function readChanged(ids) {
  for (let at = 0; at < ids.length; at += limits.maxObjectsInGet) {
    const asked = changesKnown()
    const [got] = await request([["Email/get", { ids: ids.slice(at, at + limits.maxObjectsInGet), properties: CHANGING }]])
    if (got instanceof MethodError) return
    keepEmails(got.list.filter(({ id }) => emails.has(id)), boot.account, asked)
    for (const id of got.notFound) emails.delete(id)
  }
}

/** Read the mailboxes that others share, and the rows of the one shown; whether any changed. */
async function lookAtShared() {
  const accounts = [...shared.keys()], most = limits.maxCallsInRequest
  const calls = accounts.map((accountId) => ["Mailbox/get", { accountId, ids: null }])
  const found = []
  for (let at = 0; at < calls.length; at += most) found.push(...await request(calls.slice(at, at + most)))
  let differs = false
  for (const [at, account] of accounts.entries()) {
    if (found[at] instanceof MethodError) {
      keepMailboxes({ list: [] }, account)
      shared.delete(account)
    } else if (found[at].state === shared.get(account)?.state) continue
    else keepMailboxes(found[at], account)
    differs = true
  }
  const rows = [...emails.values()].filter((one) => one.account === shown.account).slice(-200)
  if (differs && shared.has(shown.account) && rows.length) {
    const [got] = await request([["Email/get", { ids: rows.map((one) => one.id), properties: ROW }]], { account: shown.account })
    if (!(got instanceof MethodError)) keepEmails(got.list, shown.account)
  }
  return differs
}

/** Who shares mailboxes now; without a connection once there is one. */
async function lookForAccounts() {
  try {
    const { accounts } = await (await send("/jmap/session")).json()
    for (const [account, { name, isPersonal }] of Object.entries(accounts)) if (!isPersonal && !shared.has(account)) shared.set(account, { name, state: "" })
    await look()
  } catch { connection.addEventListener("online", lookForAccounts, { once: true }) }
}
session.addEventListener("change", lookForAccounts)

/** Change messages: `patches` by id. Rows change at once and go back when the server refuses; ids refused are returned. What is changed
twice, as by an undo, is so in this order: requests that are under way at once are carried out in any (RFC 8620 §3.10). */
export function update(patches) {
  begun++
  underWay++
  const ids = Object.keys(patches)
  const done = change(patches, Promise.allSettled(ids.map((id) => busy.get(id))))
  for (const id of ids) busy.set(id, done)
  changing = Promise.allSettled([changing, done]).finally(() => {
    if (--underWay) return
    over = begun
    busy.clear()
  })
  return done
}

async function change(patches, earlier) {
  const before = new Map()
  for (const [id, patch] of Object.entries(patches)) {
    const email = emails.get(id)
    if (!email) continue
    before.set(id, email)
    emails.set(id, patched(email, patch))
  }
  tell("messages")
  const refused = new Set()
  try {
    await earlier
    const ids = Object.keys(patches)
    const account = emails.get(ids[0])?.account
    for (let at = 0; at < ids.length; at += 200) {
      const some = Object.fromEntries(ids.slice(at, at + 200).map((id) => [id, patches[id]]))
      const [done, boxes] = await request([["Email/set", { update: some }], ["Mailbox/get", { ids: null }]], { account })
      if (done instanceof MethodError) throw done
      if (!(boxes instanceof MethodError)) {
        keepMailboxes(boxes, account)
        // nothing but this change happened: when push tells of it there is nothing to read
        if (account === boot.account && done.oldState === seen && done.newState === boxes.state) seen = states.Email = boxes.state
      }
      for (const id of Object.keys(done.notUpdated ?? {})) refused.add(id)
    }
  } catch (fault) {
    for (const [id, email] of before) emails.set(id, email)
    tell("messages")
    throw fault
  }
  for (const id of refused) if (before.has(id)) emails.set(id, before.get(id))
  if (refused.size) tell("messages")
  tell("mailboxes")
  return refused
}

function patched(email, patch) {
  const after = { ...email, keywords: { ...email.keywords }, mailboxIds: { ...email.mailboxIds }, change: begun }
  for (const [path, value] of Object.entries(patch)) {
    const [name, member] = path.split("/")
    if (member === undefined) after[name] = value
    else if (value === null) delete after[name][member]
    else after[name][member] = value
  }
  return after
}
