/* What this tab knows of the mail: mailboxes, rows of messages, threads; each as the server last said. Mailboxes that others share are
there as well, by their accounts; ids are the server's, so none is used twice.

Rows are kept for ROWS messages. Whoever shows something listens to `changes`: `mailboxes` when counts or names changed, `messages`
when rows did, `remote` when something came from elsewhere and lists have to look again. */

import { _, boot } from "./dom.js"
import { MethodError, call, request, send, session, shown } from "./jmap.js"

export const ROW = boot.list.reading[0][1].properties
const ROWS = 4000
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

/** The mailbox of a role in the account shown, made when there is none in one's own. */
export async function wanted(role) {
  if (shown.account !== boot.account) return byRole(role, shown.account)
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

export function keepEmails(list, account = boot.account) {
  for (const one of list) {
    const known = emails.get(one.id)
    emails.delete(one.id)
    emails.set(one.id, { ...known, ...one, account })
  }
  for (const id of emails.keys()) {
    if (emails.size <= ROWS) break
    emails.delete(id)
  }
}

export function keepThreads(list) {
  for (const one of list) threads.set(one.id, one.emailIds)
  while (threads.size > ROWS) threads.delete(threads.keys().next().value)
}

/** Calls that read a window of a query with rows, threads and their members (RFC 8621 §4.10). */
export const readingCalls = (query) => [["Email/query", query], ...boot.list.reading]

export function keepReading([, rows, found, members], account = boot.account) {
  if (members && !(members instanceof MethodError)) keepEmails(members.list, account)
  if (found && !(found instanceof MethodError)) keepThreads(found.list)
  if (rows && !(rows instanceof MethodError)) {
    keepEmails(rows.list, account)
    if (account === boot.account) states.Email = rows.state
  }
}

/** Members of a message's conversation, oldest first, as far as they are known. */
export const conversation = (email) => (threads.get(email.threadId) ?? [email.id]).map((id) => emails.get(id)).filter((one) => one && (one.id === email.id || !isWaiting(one)))

/** The copy in the queue of a message that is not sent yet: it stands in Sent as well. */
export const isWaiting = (email) => Object.keys(email.mailboxIds).every((id) => mailboxes.get(id)?.role === "scheduled")

export const isUnread = (email) => !email.keywords.$seen && !email.keywords.$draft

/** The state up to which everything shown is current; equal states mean that nothing changed. */
let seen = boot.mailboxes.state

/** The change of this tab that is under way. */
let changing = Promise.resolve()

/** Something may have changed on the server, where the state is `told` if that is known: read what this tab shows, if so. */
export async function look(told = "") {
  await changing
  if (told && told === seen) return
  const sharing = await lookAtShared()
  const calls = [["Mailbox/get", { ids: null }]]
  if (states.Email) calls.push(["Email/changes", { sinceState: states.Email, maxChanges: 200 }])
  const [boxes, changed] = await request(calls)
  if (!(boxes instanceof MethodError)) {
    if (boxes.state === seen && !sharing) return
    seen = boxes.state
    keepMailboxes(boxes)
  }
  const known = changed instanceof MethodError || !changed ? [...emails.keys()].filter((id) => emails.get(id).account === boot.account).slice(-200) : changed.updated.filter((id) => emails.has(id))
  if (known.length) {
    const [got] = await request([["Email/get", { ids: known.slice(0, 400), properties: ROW }]])
    if (!(got instanceof MethodError)) keepEmails(got.list)
  }
  if (changed && !(changed instanceof MethodError)) {
    for (const id of changed.destroyed) emails.delete(id)
    states.Email = changed.newState
  }
  tell("mailboxes")
  tell("messages")
  tell("remote")
}

/** Read the mailboxes that others share, and the rows of the one shown; whether any changed. */
async function lookAtShared() {
  const accounts = [...shared.keys()]
  const found = accounts.length ? await request(accounts.map((accountId) => ["Mailbox/get", { accountId, ids: null }])) : []
  let differs = false
  for (const [at, account] of accounts.entries()) {
    if (found[at] instanceof MethodError) {
      keepMailboxes({ list: [] }, account)
      shared.delete(account)
    } else if (found[at].state === shared.get(account).state) continue
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

session.addEventListener("change", async () => {
  const { accounts } = await (await send("/jmap/session")).json()
  for (const [account, { name, isPersonal }] of Object.entries(accounts)) if (!isPersonal && !shared.has(account)) shared.set(account, { name, state: "" })
  look()
})

/** Change messages: `patches` by id. Rows change at once and go back when the server refuses; ids refused are returned. */
export function update(patches) {
  const done = change(patches)
  changing = Promise.allSettled([changing, done])
  return done
}

async function change(patches) {
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
  const after = { ...email, keywords: { ...email.keywords }, mailboxIds: { ...email.mailboxIds } }
  for (const [path, value] of Object.entries(patch)) {
    const [name, member] = path.split("/")
    if (member === undefined) after[name] = value
    else if (value === null) delete after[name][member]
    else after[name][member] = value
  }
  return after
}
