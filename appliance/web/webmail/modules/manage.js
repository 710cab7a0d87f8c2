/* What is done with a mailbox itself: made, renamed, put into another, deleted, emptied, all of it read. Loaded when somebody asks.

| done                       | and the messages in it                                                   |
|----------------------------|--------------------------------------------------------------------------|
| all marked as read         | stay; undo makes those unread again that were                            |
| deleted                    | go to the trash, but for those that are in another mailbox as well       |
| emptied (trash and junk)   | are gone for good, after a question                                      |

Many messages are changed BATCH at a time; the line says how far it is and can stop it. What was done until then stays done. */

import { attempt, takenOut } from "./actions.js"
import { _, ask, boot, counted, h, say } from "./dom.js"
import { Refusal, faultInName, field, mark, openForm } from "./forms.js"
import { MethodError, call, limits, request, result } from "./jmap.js"
import { byRole, listed, look, mailboxName, mailboxes, readMailboxes } from "./mail.js"

const BATCH = 50
/** What stands in no name: the separator, and the wildcards of IMAP. */
const REFUSED = /[/*%]/

/** What can be done with the mailbox of this id, as a choice. */
export async function showMailbox(id) {
  const mailbox = mailboxes.get(id)
  if (!mailbox) return
  const { myRights: may, role } = mailbox
  const choices = [
    may.maySetSeen && mailbox.unreadEmails && ["read", _("Mark all as read"), () => readAll(mailbox)],
    may.mayCreateChild && !["trash", "junk"].includes(role) && ["inside", _("New mailbox in it"), () => make(mailbox)],
    !role && may.mayRename && ["rename", _("Rename or move it"), () => rename(mailbox)],
    ["trash", "junk"].includes(role) && may.mayRemoveItems && mailbox.totalEmails && ["empty", _("Empty it"), () => empty(mailbox)],
    !role && may.mayDelete && ["delete", _("Delete it"), () => remove(mailbox)],
  ].filter(Boolean)
  const text = counted("%(number)s message", "%(number)s messages", mailbox.totalEmails)
  const chosen = await ask(mailboxName(mailbox), h("p", { className: "dim" }, text), choices.map(([value, label]) => [value, label, "quiet"]))
  const work = choices.find(([value]) => value === chosen)?.[2]
  if (work) await attempt(work)
}

export const newMailbox = () => attempt(() => make(null))

// --- one mailbox ---------------------------------------------------------------------------------------

async function make(parent) {
  const account = parent?.account ?? boot.account
  const begin = { account, name: "", parentId: parent?.id ?? null }
  const change = (wanted) => ({ create: { made: { ...wanted, isSubscribed: true } } })
  const done = await nameAndPlace(_("New mailbox"), begin, listed(account), _("Make it"), change)
  if (!done) return
  await (account === boot.account ? readMailboxes() : look())
  location.hash = `#${done.created.made.id}`
  say(_("The mailbox %(name)s is there now.", { name: done.name }))
}

async function rename(mailbox) {
  const below = new Set([mailbox.id])
  const places = listed(mailbox.account).filter(({ mailbox: one }) => {
    if (below.has(one.parentId)) below.add(one.id)
    return !below.has(one.id)
  })
  const change = (wanted) => ({ update: { [mailbox.id]: wanted } })
  const done = await nameAndPlace(_("Rename or move it"), mailbox, places, _("Save"), change)
  if (!done) return
  await look()
  say(_("The mailbox is called %(name)s now.", { name: done.name }))
}

/** Asks for the name of a mailbox and the one it stands in until the server did what `change` makes of them: then its response with that
name; null when the person thought better of it. */
function nameAndPlace(title, { account, id, name, parentId }, places, label, change) {
  const input = h("input", { id: "mailbox-name", value: name, autocomplete: "off", autofocus: true })
  const options = places.filter(({ mailbox }) => mailbox.myRights.mayCreateChild && !["trash", "junk"].includes(mailbox.role))
    .map(({ mailbox, depth }) => h("option", { value: mailbox.id, selected: mailbox.id === parentId }, "\u2003".repeat(depth) + mailboxName(mailbox)))
  const top = account === boot.account || !parentId ? h("option", { value: "", selected: !parentId }, _("None")) : null  // at the top of another's are the owner's own
  const select = h("select", { id: "mailbox-place", onchange: () => mark(input, "") }, top, options)
  const isTaken = (wanted) => listed(account).some(({ mailbox: one }) =>
    one.id !== id && (one.parentId ?? null) === wanted.parentId && one.name.toLowerCase() === wanted.name.toLowerCase())
  const check = (wanted, refused) => {
    const sentence = faultOf(wanted.name) || (isTaken(wanted) && _("There is a mailbox of that name already.")) || (refused && refusalOf(refused))
    if (sentence) throw new Refusal(sentence, input)
  }
  return openForm({ title, label, body: [field(_("Name"), input), field(_("In the mailbox"), select)], work: async () => {
    const wanted = { name: input.value.trim(), parentId: select.value || null }
    check(wanted)
    const found = await call("Mailbox/set", change(wanted), { account })
    const [refused] = Object.values(found.notCreated ?? found.notUpdated ?? {})
    if (refused) {
      await look()  // what there is now may say why
      check(wanted, refused)
    }
    return { ...found, name: wanted.name }
  } })
}

/** What is wrong with the name of a mailbox; "" for nothing. */
function faultOf(name) {
  const [character] = name.match(REFUSED) ?? []
  if (!name) return _("Give it a name.")
  if (character) return _("A name has no %(character)s in it.", { character })
  return /^\.\.?$/.test(name) ? _("A name is more than dots.") : faultInName(name)
}

/** What the server refused, in the page's language. */
function refusalOf({ type, description }) {
  if (type === "invalidProperties") return _("The server does not take this name here. Choose a shorter one, or another place.")
  if (type === "notFound") return _("This mailbox is not there any more.")
  if (type === "forbidden") return _("You may not do that here.")
  return _("That did not work: %(why)s", { why: description ?? type })
}

/** What is in it goes to the trash first: the mailbox is deleted once nothing is left in it. */
async function remove(mailbox) {
  const name = mailboxName(mailbox)
  if (listed(mailbox.account).some(({ mailbox: one }) => one.parentId === mailbox.id)) {
    say(_("There are mailboxes in %(name)s: delete or move those first.", { name }), { fault: true })
    return
  }
  const trash = byRole("trash", mailbox.account)
  const lacksTrash = () => say(_("There is no Trash for what is in %(name)s: move that first.", { name }), { fault: true })
  let some = await messages(mailbox, {})
  const number = some.length
  if (number && !trash) return lacksTrash()
  const question = number ? counted("%(number)s message in it goes to the trash.", "%(number)s messages in it go to the trash.", number) : _("Nothing is in it.")
  if ((await ask(_("Delete the mailbox %(name)s?", { name }), h("p", {}, question), [["yes", _("Delete it"), "danger"]])) !== "yes") return
  const moved = (emails) => takenOut(emails, mailbox.id, trash.id)
  for (some = await messages(mailbox, {}); some.length; some = await messages(mailbox, {})) {  // until no more comes
    if (!trash) return lacksTrash()
    if (!(await throughAll(mailbox.account, some, moved))) return
  }
  const done = await call("Mailbox/set", { destroy: [mailbox.id] }, { account: mailbox.account })
  if (done.notDestroyed) throw new MethodError(done.notDestroyed[mailbox.id])
  await look()
  say(_("The mailbox %(name)s is deleted.", { name }))
}

// --- all messages in one -------------------------------------------------------------------------------

const seen = (value) => (emails) => ({ update: Object.fromEntries(emails.map(({ id }) => [id, { "keywords/$seen": value }])) })

async function readAll(mailbox) {
  const unread = await messages(mailbox, { notKeyword: "$seen" })
  if (!(await throughAll(mailbox.account, unread, seen(true)))) return
  const undoing = () => attempt(async () => {
    if (await throughAll(mailbox.account, unread, seen(null))) say(_("It is as it was."))
  })
  say(counted("%(number)s message is marked as read", "%(number)s messages are marked as read", unread.length), { undoing })
}

async function empty(mailbox) {
  const some = await messages(mailbox, {})
  const question = counted("%(number)s message will be gone for good.", "%(number)s messages will be gone for good.", some.length)
  if ((await ask(_("Delete for good?"), h("p", {}, question), [["yes", _("Delete for good"), "danger"]])) !== "yes") return
  const gone = (emails) => takenOut(emails, mailbox.id)
  if (await throughAll(mailbox.account, some, gone)) say(counted("%(number)s message is gone for good", "%(number)s messages are gone for good", some.length))
}

/** What is in it now, with the mailboxes of each. */
async function messages(mailbox, more) {
  const found = []
  for (;;) {
    const query = { filter: { inMailbox: mailbox.id, ...more }, position: found.length, limit: limits.maxObjectsInGet }
    const them = { "#ids": result(0, "Email/query", "/ids"), properties: ["id", "mailboxIds"] }
    const [, got] = await request([["Email/query", query], ["Email/get", them]], { account: mailbox.account })
    if (got instanceof MethodError) throw got
    if (!got.list.length) return found
    found.push(...got.list)
  }
}

/** Whether all were changed; if not, the line says so. `change` makes the arguments of Email/set from some of them. */
async function throughAll(account, emails, change) {
  let stopped = false
  let refused = 0
  for (let at = 0; at < emails.length && !stopped; at += BATCH) {
    if (at) say(_("%(done)s of %(all)s", { done: at, all: emails.length }), { undoing: () => { stopped = true }, label: _("Stop"), lasting: true })
    const done = await call("Email/set", change(emails.slice(at, at + BATCH)), { account })
    refused += [...Object.values(done.notUpdated ?? {}), ...Object.values(done.notDestroyed ?? {})].filter(({ type }) => type !== "notFound").length
  }
  await look()
  if (stopped) say(_("Stopped. What was done until then stays done."))
  else if (refused) say(_("The server refused that for some messages."), { fault: true })
  return !stopped && !refused
}
