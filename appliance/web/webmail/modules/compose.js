/* Writing a message: one at a time, in a panel beside the mail (on a phone instead of it).

| state    | what is kept where                                                                                             |
|----------|----------------------------------------------------------------------------------------------------------------|
| written  | every change in this browser within KEEP_MS, in Drafts on the server after a pause (`draft`)                    |
| waits    | the same: it is sent when there is a connection again, unless it is changed before                               |
| sent     | in the server's queue, held for UNDO_S; taken back it is a draft again, and open                                |
| refused  | a draft, open, with the reason                                                                                   |

The message and its submission are one request: either it is sent, or it is a draft that says why not. When that request was never
answered, the next try looks first whether it was carried out: nothing is sent twice. */

import { $, _, ask, boot, focusFirst, fullDate, h, icon, iconButton, say } from "./dom.js"
import { MethodError, Offline, call, connection, mayUse, request } from "./jmap.js"
import { emails, look, wanted } from "./mail.js"
import { Draft, kept, settle } from "./draft.js"
import { Editor } from "./editor.js"
import { Recipients, addressesIn } from "./recipients.js"
import { Uploads } from "./uploads.js"
import { answerTo, draftOf } from "./answer.js"
import { encodeFlowed, flows } from "./flowed.js"

const UNDO_S = 10
let open = null
let known = null

export const identities = async () => (known ??= (await call("Identity/get", { ids: null })).list)

export async function write(content = {}) {
  if (!mayUse("submission")) return say(_("This server does not send mail from the browser yet."), { fault: true })
  if (open && !(await open.close())) return
  open = new Composer(content, await identities())
}

export const answer = async (email, how) => write(await answerTo(email, how, await identities()))
export const edit = async (id) => write(await draftOf(id))

/** What was being written when a tab was closed or the server went away: the newest is opened, others go to Drafts. */
export async function resume() {
  const found = await kept()
  const newest = found.pop()
  for (const one of found) await settle(one).catch(() => {})
  if (newest) await write(newest)
}

/** Offer it, when there is anything. */
export async function offer() {
  if ((await kept()).length) say(_("A message was not finished."), { undoing: resume, label: _("Go on writing"), lasting: true })
}

class Composer {
  constructor(content, list) {
    this.content = { to: [], cc: [], bcc: [], subject: "", text: "", html: "", rich: false, attachments: [], ...content }
    this.content.messageId ??= [`${crypto.randomUUID()}@${boot.address.split("@")[1]}`]
    this.before = document.activeElement
    const label = (id, text) => h("label", { htmlFor: id }, text)
    const changed = () => this.changed()
    this.from = h("select", { id: "compose-from", onchange: changed }, list.map((one) => h("option", { value: one.id, selected: one.id === content.identity }, one.name ? `${one.name} <${one.email}>` : one.email)))
    this.identities = list
    this.fields = Object.fromEntries([["to", _("To")], ["cc", _("Cc")], ["bcc", _("Bcc")]].map(([name, text]) => [name, new Recipients(name, text, this.content[name], changed)]))
    this.subject = h("input", { id: "compose-subject", value: this.content.subject, maxLength: 900, autocomplete: "off", oninput: changed })
    this.editor = new Editor(this.content, changed, (file) => this.uploads.picture(file))
    this.uploads = new Uploads(this.content.attachments, this.content.pictures ?? [], changed)
    this.state = h("span", { className: "dim", role: "status", id: "draft-state" })
    this.fault = h("p", { className: "fault", role: "alert", hidden: true })
    const send = h("button", { type: "submit", id: "send" }, icon("sent"), _("Send"))
    this.form = h("form", { className: "composer-form", noValidate: true, onsubmit: (event) => { event.preventDefault(); this.send() } },
      h("div", { className: "field", hidden: list.length < 2 }, label("compose-from", _("From")), this.from),
      this.fields.to.element,
      h("details", { open: this.content.cc.length + this.content.bcc.length > 0 }, h("summary", {}, _("Cc and Bcc")), this.fields.cc.element, this.fields.bcc.element),
      h("div", { className: "field" }, label("compose-subject", _("Subject")), this.subject),
      this.editor.element, this.uploads.element, this.fault,
      h("p", { className: "buttons" }, send,
        iconButton("clip", _("Attach files"), () => this.uploads.choose()),
        iconButton("clock", _("Send later…"), () => this.later()),
        iconButton("trash", _("Throw away"), () => this.discard()), this.state))
    this.element = h("section", { id: "composer", role: "dialog", "aria-label": this.content.title ?? _("New message") },
      h("div", { className: "strip" }, h("h2", {}, this.content.title ?? _("New message")), iconButton("close", _("Close and keep as a draft"), () => this.close())),
      this.form)
    this.draft = new Draft(this.content, () => this.read(), (text) => { this.state.textContent = text })
    this.element.addEventListener("keydown", (event) => this.key(event))
    this.uploads.takeDrops(this.element)
    $("panes").after(this.element)
    const first = this.content.to.length ? this.editor : this.fields.to
    first.focus()
  }

  changed() {
    this.draft.changed()
    if (this.waiting) this.fault.hidden = true
    this.waiting = false
  }

  key(event) {
    if (event.defaultPrevented) return
    const enter = event.key === "Enter", inLine = event.target.matches("input:not([type=file])")
    if (enter && (event.ctrlKey || event.metaKey)) this.send()
    else if (enter && inLine) (event.target === this.subject ? this.editor : this.subject).focus()
    else if (event.key === "Escape") this.close()
    else return
    event.preventDefault()
  }

  /** The content as it is now. */
  read() {
    const { text, html, rich } = this.editor.read()
    const fields = Object.fromEntries(Object.entries(this.fields).map(([name, field]) => [name, field.text()]))
    const from = this.identities.find((one) => one.id === this.from.value) ?? this.identities[0]
    return { ...this.content, ...fields, identity: from.id, from: { name: from.name, email: from.email }, subject: this.subject.value, text, html, rich, attachments: this.uploads.done(), pictures: this.uploads.pictures() }
  }

  refuse(sentence, focus) {
    this.fault.textContent = sentence
    this.fault.hidden = false
    focus?.focus()
  }

  async send(until = null) {
    this.fault.hidden = true
    this.waiting = false
    const content = this.read()
    for (const field of Object.values(this.fields)) if (field.fault()) return this.refuse(field.fault(), field)
    const recipients = ["to", "cc", "bcc"].flatMap((name) => addressesIn(content[name]))
    if (!recipients.length) return this.refuse(_("To whom? Write an address."), this.fields.to)
    if (this.uploads.busy()) return this.refuse(this.uploads.busy())
    if (this.uploads.tooLarge()) return this.refuse(this.uploads.tooLarge())
    this.form.inert = true
    try {
      await this.submit(content, recipients, until)
    } catch (fault) {
      if (fault instanceof Offline) this.wait(until)
      else this.refuse(_("It was not sent: %(why)s", { why: fault.message }))
    } finally {
      this.form.inert = false
    }
  }

  /** Send it when there is a connection again, if nothing of it was changed by then. */
  wait(until) {
    this.waiting = true
    this.refuse(_("There is no connection. It will be sent when there is one, unless you change it."))
    connection.addEventListener("online", () => { if (this.waiting && open === this) this.send(until) }, { once: true })
  }

  async submit(content, recipients, until) {
    await this.draft.stop()
    const [drafts, sent] = [await wanted("drafts"), await wanted("sent")]
    const hold = until ? { HOLDUNTIL: until.toISOString().replace(/\.\d+/, "") } : { HOLDFOR: String(UNDO_S) }
    const envelope = { mailFrom: { email: content.from.email, parameters: hold }, rcptTo: [...new Set(recipients.map((one) => one.email))].map((email) => ({ email })) }
    const patch = { [`mailboxIds/${drafts.id}`]: null, [`mailboxIds/${sent.id}`]: true, "keywords/$draft": null }
    const plain = flows(content.text) ? { value: encodeFlowed(content.text), flowed: true } : undefined
    const create = async () => {
      const destroy = await this.draft.older(drafts)
      const [made, done] = await this.draft.certainly(request([
        ["Email/set", { create: { message: this.draft.email(content, drafts.id, plain) }, destroy }],
        ["EmailSubmission/set", { create: { sent: { identityId: content.identity, emailId: "#message", envelope } }, onSuccessUpdateEmail: { "#sent": patch } }],
      ]))
      if (made instanceof MethodError) throw made
      if (!made.created?.message) throw new MethodError(made.notCreated.message)
      this.draft.id = made.created.message.id
      if (done instanceof MethodError) throw done
      if (!done.created?.sent) throw new MethodError(done.notCreated.sent)
      return { id: done.created.sent.id, emailId: this.draft.id }
    }
    const submission = (await this.draft.sentBefore(drafts, sent)) ?? (await create())
    this.gone()
    look().catch(() => {})
    markAnswered(content)
    const again = { ...content, draft: submission.emailId, unsaved: false }
    const takeBack = () => unsend(submission.id, submission.emailId, drafts.id, sent.id, again)
    if (until) say(_("It will be sent %(when)s.", { when: fullDate(until) }), { undoing: takeBack })
    else say(_("Sent."), { undoing: takeBack, ms: UNDO_S * 1000 - 1000 })
  }

  gone() {
    this.draft.forget()
    this.element.remove()
    open = null
    focusFirst(this.before, $("list"), $("subject"))
  }

  /** Kept as a draft; false when it could not be and stays open. */
  async close() {
    this.fault.hidden = true
    if (this.uploads.busy()) return this.refuse(this.uploads.busy()) ?? false
    try {
      await this.draft.save()
    } catch (fault) {
      this.refuse(_("The draft is kept in this browser, but not on the server yet: %(why)s", { why: fault.message || _("there is no connection") }))
      return false
    }
    const wasWritten = Boolean(this.draft.id)
    this.gone()
    if (wasWritten) {
      look().catch(() => {})
      say(_("Kept in Drafts."))
    }
    return true
  }

  async discard() {
    const content = this.read()
    await this.draft.stop()
    if (this.draft.id) await call("Email/set", { destroy: [this.draft.id] }).catch(() => {})
    this.gone()
    say(_("Thrown away."), { undoing: () => write({ ...content, draft: "", unsaved: true }) })
  }

  async later() {
    const at = new Date(Date.now() + 3600_000)
    at.setMinutes(0, 0, 0)
    const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
    const field = h("input", { type: "datetime-local", id: "later", value: local, required: true })
    const chosen = await ask(_("Send later"), h("p", {}, h("label", { htmlFor: "later" }, _("When?")), field), [["yes", _("Send then")]])
    if (chosen !== "yes" || !field.value) return
    const until = new Date(field.value)
    if (until <= new Date()) return this.refuse(_("That instant is over."))
    this.send(until)
  }
}

function markAnswered({ answers, forwards }) {
  const keyword = answers ? "keywords/$answered" : "keywords/$forwarded"
  const id = answers ?? forwards
  if (id) call("Email/set", { update: { [id]: { [keyword]: true } } }).catch(() => {})
}

/** Back into Drafts, if the server has not sent it yet. */
async function unsend(submission, email, drafts, sent, content) {
  const patch = { [`mailboxIds/${sent}`]: null, [`mailboxIds/${drafts}`]: true, "keywords/$draft": true }
  const done = await call("EmailSubmission/set", { update: { [submission]: { undoStatus: "canceled" } }, onSuccessUpdateEmail: { [submission]: patch } })
  if (done.notUpdated?.[submission]) return say(_("It was sent already."), { fault: true })
  emails.delete(email)
  await write(content)
  say(_("Taken back: it was not sent."))
}

/** Before signing out: all that is kept in this browser goes to the server, and nothing of it stays here. False: it could not, and the
user rather stays. */
export async function leave() {
  try {
    await open?.draft.save()
    open?.draft.forget()
    for (const one of await kept({ all: true })) await settle(one)
    return true
  } catch {
    const lost = h("p", {}, _("What you wrote could not be put into Drafts. It will be lost."))
    return (await ask(_("Sign out?"), lost, [["yes", _("Sign out"), "danger"]])) === "yes"
  }
}
