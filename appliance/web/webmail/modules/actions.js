/* What is done with messages: archive, delete, junk, move, read, flag; each told in a line that offers to undo it.

An action is for conversations: it takes each message of them that is in the mailbox shown (in a search: wherever it is, but for drafts
and sent ones). Undo puts back the mailboxes and keywords each message had. */

import { _, ask, counted, h, say } from "./dom.js"
import { call, shown } from "./jmap.js"
import { allows, byRole, conversation, emails, isUnread, listed, mailboxName, mailboxes, shared, update, wanted } from "./mail.js"

/** Set by the list: `take(emails)` takes rows out of sight, `again()` reads them anew. */
export const view = { mailbox: null, take() {}, again() {} }

const KEPT = ["drafts", "sent", "scheduled"]
/** A search does not look there. */
export const FOUND_NOWHERE = ["junk", "trash"]

/** The messages of these conversations that an action is about. */
export function concerned(rows, { all = false } = {}) {
  const found = new Map()
  for (const row of rows) {
    for (const email of conversation(row)) {
      const kept = Object.keys(email.mailboxIds).every((id) => KEPT.includes(mailboxes.get(id)?.role))
      if (all || (view.mailbox ? email.mailboxIds[view.mailbox] : !kept || email.id === row.id)) found.set(email.id, email)
    }
    if (emails.has(row.id) && !conversation(row).some(({ id }) => found.has(id))) found.set(row.id, emails.get(row.id))
  }
  return [...found.values()]
}

async function change(rows, some, patch, done, { leaves = false } = {}) {
  if (!some.length) return
  const patches = Object.fromEntries(some.map((email) => [email.id, patch(email)]))
  const backwards = Object.fromEntries(some.map((email) => [email.id, reversed(email, patches[email.id])]))
  const all = !leaves || view.take(rows)
  const undoing = async () => {
    const refused = await attempt(() => update(backwards), undoing)
    view.again()  // also what only a filter had left out
    if (refused?.size) say(_("The server refused that for some messages."), { fault: true })
    else if (refused) say(_("It is as it was."))
  }
  if (done) say(done, { undoing })
  const refused = await attempt(() => update(patches))
  if (refused === null || refused.size || !all) {
    if (leaves) view.again()
    if (refused?.size) say(_("The server refused that for some messages."), { fault: true })
  }
}

/** null when it failed, and the line says why; `undoing` is offered there once more. */
export async function attempt(work, undoing = null) {
  try {
    return await work()
  } catch (fault) {
    say(_("That did not work: %(why)s", { why: fault.message }), { fault: true, undoing })
    return null
  }
}

function reversed(email, patch) {
  const before = {}
  for (const path of Object.keys(patch)) {
    const [name, member] = path.split("/")
    before[path] = member === undefined ? email[name] : email[name][member] ?? null
  }
  return before
}

const mayLeave = (email) => allows(email, "mayRemoveItems")
const isElsewhereToo = (email, mailbox) => email.mailboxIds[mailbox] && Object.keys(email.mailboxIds).length > 1
const elsewhere = (target) => () => ({ mailboxIds: { [target]: true } })

/** Out of the mailbox shown, into another; other mailboxes a message is in stay. */
const moved = (target) => (email) =>
  isElsewhereToo(email, view.mailbox)
    ? { [`mailboxIds/${view.mailbox}`]: null, [`mailboxIds/${target}`]: true }
    : { mailboxIds: { [target]: true } }

/** Arguments of Email/set that take messages out of a mailbox (null: wherever they are): what is in another as well stays there, the rest
goes `instead` into that mailbox, or for good. */
export function takenOut(some, mailbox, instead = null) {
  const staying = some.filter((email) => isElsewhereToo(email, mailbox))
  const going = some.filter((email) => !isElsewhereToo(email, mailbox))
  const patches = (emails, patch) => emails.map(({ id }) => [id, patch])
  const update = patches(staying, { [`mailboxIds/${mailbox}`]: null })
  if (!instead) return { update: Object.fromEntries(update), destroy: going.map(({ id }) => id) }
  return { update: Object.fromEntries([...update, ...patches(going, { mailboxIds: { [instead]: true } })]) }
}

export async function moveTo(rows, target) {
  if (!rows.length || target === view.mailbox) return
  const name = mailboxName(mailboxes.get(target))
  const done = counted("%(number)s conversation moved", "%(number)s conversations moved", rows.length)
  if (mailboxes.get(target).account !== shown.account) return copyTo(rows, concerned(rows), target, `${done}: ${name}`)
  await change(rows, concerned(rows), moved(target), `${done}: ${name}`, { leaves: view.mailbox !== null })
}

/** Into a mailbox of another account (RFC 8620 §5.4): each message is copied, and then taken out of where it was. */
async function copyTo(rows, some, target, done) {
  const account = shown.account
  const create = Object.fromEntries(some.map((email) => [email.id, { id: email.id, mailboxIds: { [target]: true } }]))
  const mayMove = some.every(mayLeave)
  if (mayMove) view.take(rows)
  const copied = await attempt(() => call("Email/copy", { fromAccountId: account, accountId: mailboxes.get(target).account, create }))
  const there = some.filter((email) => mayMove && copied?.created?.[email.id])
  const left = there.length ? await attempt(() => call("Email/set", takenOut(there, view.mailbox), { account })) : null
  const refused = copied?.notCreated || left?.notUpdated || left?.notDestroyed
  if (copied && !mayMove && !refused) say(_("Copied, and here as before: you may not take out what is in this mailbox."))
  else if (copied && left && !refused) say(done)
  else if (refused) say(_("The server refused that for some messages."), { fault: true })
  view.again()
}

async function toRole(rows, role, patch, done) {
  if (!rows.length) return
  const target = await attempt(() => wanted(role, shown.account))
  if (target === undefined) say(_("There is no such mailbox here."), { fault: true })
  if (!target) return
  if (target.id === view.mailbox) return
  const leaves = view.mailbox !== null || FOUND_NOWHERE.includes(role)
  await change(rows, concerned(rows), patch(target.id), done(rows.length), { leaves })
}

export const archive = (rows) => toRole(rows, "archive", moved, (number) => counted("%(number)s conversation archived", "%(number)s conversations archived", number))

export async function junk(rows) {
  const isJunk = mailboxes.get(view.mailbox)?.role === "junk"
  if (isJunk) return toRole(rows, "inbox", elsewhere, (number) => counted("%(number)s conversation is no junk", "%(number)s conversations are no junk", number))
  const marked = (target) => () => ({ mailboxIds: { [target]: true }, "keywords/$junk": true, "keywords/$notjunk": null })
  return toRole(rows, "junk", marked, (number) => counted("%(number)s conversation is junk", "%(number)s conversations are junk", number))
}

/** To the trash; in the trash for good, after a question. */
export async function remove(rows) {
  if (mailboxes.get(view.mailbox)?.role !== "trash" && byRole("trash", shown.account))
    return toRole(rows, "trash", elsewhere, (number) => counted("%(number)s conversation deleted", "%(number)s conversations deleted", number))
  const some = concerned(rows)
  if (!some.length) return
  if (!some.every(mayLeave)) return say(_("You may not take out what is in this mailbox."), { fault: true })
  const question = counted("%(number)s message will be gone for good.", "%(number)s messages will be gone for good.", some.length)
  if ((await ask(_("Delete for good?"), h("p", {}, question), [["yes", _("Delete for good"), "danger"]])) !== "yes") return
  view.take(rows)
  const gone = await attempt(() => call("Email/set", { destroy: some.map((email) => email.id) }, { account: shown.account }))
  if (gone?.notDestroyed) say(_("The server refused that for some messages."), { fault: true })
  else if (gone) say(counted("%(number)s message is gone for good", "%(number)s messages are gone for good", some.length))
  view.again()
}

/** Read when any message of the conversations was unread; else the newest of each is unread. */
export async function toggleRead(rows) {
  const unread = concerned(rows, { all: true }).filter(isUnread)
  const some = unread.length ? unread : rows
  const done = unread.length ? counted("%(number)s message is marked as read", "%(number)s messages are marked as read", some.length)
    : counted("%(number)s message is marked as unread", "%(number)s messages are marked as unread", some.length)
  await change(rows, some, () => ({ "keywords/$seen": unread.length > 0 || null }), done)
}

/** These messages were shown. */
export const markSeen = (some) => change([], some.filter((email) => allows(email, "maySetSeen")), () => ({ "keywords/$seen": true }), "")

/** A star for the newest of each conversation; from those that have one it goes, whichever message had it. */
export async function toggleFlag(rows) {
  const isFlagged = (email) => email.keywords.$flagged
  const without = rows.filter((row) => !conversation(row).some(isFlagged))
  const some = without.length ? without : concerned(rows, { all: true }).filter(isFlagged)
  const done = without.length ? counted("%(number)s message has a star", "%(number)s messages have a star", some.length)
    : counted("%(number)s message has no star", "%(number)s messages have no star", some.length)
  await change(rows, some, () => ({ "keywords/$flagged": without.length > 0 || null }), done)
}

export const sharedBy = (name) => _("Shared by %(name)s", { name })

/** May messages be moved there? */
export const isTarget = ({ role, myRights }) => !KEPT.includes(role) && myRights.mayAddItems

/** Where to? In a dialog. */
export async function chooseMailbox(rows) {
  if (!rows.length) return
  const targets = (account) => listed(account).filter(({ mailbox }) => mailbox.id !== view.mailbox && isTarget(mailbox))
  const own = targets()
  const options = (some) => some.map(({ mailbox, depth }) => h("option", { value: mailbox.id, selected: mailbox === own[0]?.mailbox }, "\u2003".repeat(depth) + mailboxName(mailbox)))
  const others = [...shared].map(([account, { name }]) => [name, targets(account)]).filter(([, some]) => some.length)
  const number = own.length + others.reduce((sum, [, some]) => sum + some.length + 1, 0)
  const select = h("select", { size: Math.min(number, 10), required: true, id: "target" },
    options(own), others.map(([name, some]) => h("optgroup", { label: sharedBy(name) }, options(some))))
  const title = counted("Move %(number)s conversation", "Move %(number)s conversations", rows.length)
  const body = h("p", {}, h("label", { htmlFor: "target" }, _("To which mailbox?")), select)
  if ((await ask(title, body, [["yes", _("Move")]])) === "yes" && select.value) await moveTo(rows, select.value)
}

export const inboxId = () => byRole("inbox")?.id
