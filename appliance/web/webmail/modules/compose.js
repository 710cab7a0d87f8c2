/* Writing a message: one at a time, in a panel beside the mail (on a phone instead of it).

| state    | what is kept where                                                                                             |
|----------|----------------------------------------------------------------------------------------------------------------|
| written  | every change in this browser within KEEP_MS, in Drafts on the server after a pause (`draft`)                    |
| waits    | the same: it is sent when there is a connection again, unless it is changed before                               |
| sent     | in the server's queue, held for UNDO_S; taken back it is a draft again, and open                                |
| refused  | a draft, open, with the reason                                                                                   |

The message and its submission are one request: either it is sent, or it is a draft that says why not. When that request was never
answered, the next try looks first whether it was carried out: nothing is sent twice. */

import { attempt } from "./actions.js"
import { $, _, ask, boot, focusFirst, fullDate, h, icon, iconButton, say, unsay } from "./dom.js"
import { MethodError, Offline, call, connection, mayUse, request } from "./jmap.js"
import { emails, look, wanted } from "./mail.js"
import { Draft, kept, settle, settleLater } from "./draft.js"
import { Editor } from "./editor.js"
import { Recipients, addressesIn, isComposing, remember } from "./recipients.js"
import { Uploads } from "./uploads.js"
import { answerTo, draftOf } from "./answer.js"
import { encodeFlowed, flows } from "./flowed.js"
import { chooseInstant } from "./later.js"
import { fromOf, identities, labelOf, senders } from "./sender.js"
import { Signature } from "./signature.js"

const UNDO_S = 10
const LATEST_S = boot.capabilities["urn:ietf:params:jmap:submission"]?.maxDelayedSend ?? 0
let open = null
let opening = Promise.resolve()
let offered = false

senders.addEventListener("change", async () => open?.know(await identities()))

/** One after the other: asked for twice before it is there, it is there once. */
export const write = (content = {}) => (opening = opening.catch(() => {}).then(() => begin(content)))

async function begin(content) {
  if (!mayUse("submission")) return say(_("This server does not send mail from the browser yet."), { fault: true })
  if (open && !(await open.close())) return
  open = new Composer(content, await identities())
  if (offered) unsay()
  offered = false
}

export const answer = async (email, how) => write(await answerTo(email, how, await identities()))
export const edit = async (id) => write(await draftOf(id, await identities()))

/** What was being written when a tab was closed or the server went away: the newest is opened, others go to Drafts. */
export async function resume() {
  const found = await kept()
  const newest = found.pop()
  for (const one of found) await settle(one).catch(() => {})
  if (newest) await write(newest)
}

/** Offer it, when there is anything. */
export async function offer() {
  if (!(await kept()).length || open) return
  offered = true
  say(_("A message was not finished."), { undoing: resume, label: _("Go on writing"), lasting: true })
}

class Composer {
  constructor(content, list) {
    this.content = { to: [], cc: [], bcc: [], subject: "", text: "", html: "", rich: false, attachments: [], ...content }
    this.content.messageId ??= [`${crypto.randomUUID()}@${boot.address.split("@")[1]}`]
    this.before = document.activeElement
    const label = (id, text) => h("label", { htmlFor: id }, text)
    const changed = () => this.changed()
    this.from = h("select", { id: "compose-from", onchange: () => { this.become(this.chosen()); changed() } })
    this.fields = Object.fromEntries([["to", _("To")], ["cc", _("Cc")], ["bcc", _("Bcc")]].map(([name, text]) => [name, new Recipients(name, text, this.content[name], changed)]))
    this.subject = h("input", { id: "compose-subject", value: this.content.subject, maxLength: 900, autocomplete: "off", oninput: changed })
    this.editor = new Editor(this.content, changed, (file) => this.uploads.picture(file))
    this.uploads = new Uploads(this.content, changed)
    this.state = h("span", { className: "dim", role: "status", id: "draft-state" })
    this.fault = h("p", { className: "fault", role: "alert", hidden: true })
    const send = h("button", { type: "submit", id: "send" }, icon("sent"), _("Send"))
    this.form = h("form", { className: "composer-form", noValidate: true, onsubmit: (event) => { event.preventDefault(); this.send() } },
      h("div", { className: "field" }, label("compose-from", _("From")), this.from),
      this.fields.to.element,
      h("details", { open: this.content.cc.length + this.content.bcc.length > 0 }, h("summary", {}, _("Cc and Bcc")), this.fields.cc.element, this.fields.bcc.element),
      h("div", { className: "field" }, label("compose-subject", _("Subject")), this.subject),
      this.editor.element, this.uploads.element, this.fault,
      h("p", { className: "buttons" }, send,
        iconButton("clip", _("Attach files"), () => this.uploads.choose()),
        iconButton("clock", _("Send later…"), () => this.later()),
        iconButton("trash", _("Throw away"), () => this.discard()), this.state))
    this.element = h("section", { id: "composer", role: "dialog", tabIndex: -1, "aria-label": this.content.title ?? _("New message") },
      h("div", { className: "strip" }, h("h2", {}, this.content.title ?? _("New message")), iconButton("close", _("Close and keep as a draft"), () => this.close())),
      this.form)
    this.brought = []
    this.offer(list, content.identity)
    if (content.draft || content.unsaved) this.resume(this.chosen())
    else this.become(this.chosen())
    this.draft = new Draft(this.content, () => this.read(), (text) => { this.state.textContent = text }, (isGone) => this.uploads.lose(isGone))
    this.element.addEventListener("keydown", (event) => this.key(event))
    this.uploads.takeDrops(this.element)
    this.uploads.takePastes(this.element)
    $("panes").after(this.element)
    const first = this.content.to.length ? this.editor : this.fields.to
    first.focus()
  }

  changed() {
    this.draft.changed()
    this.fault.hidden = true
    this.waiting = false
  }

  key(event) {
    if (event.defaultPrevented || isComposing(event)) return
    const enter = event.key === "Enter", inLine = event.target.matches("input:not([type=file])")
    if (enter && (event.ctrlKey || event.metaKey)) this.send()
    else if (enter && inLine) (event.target === this.subject ? this.editor : this.subject).focus()
    else if (event.key === "Escape") this.close()
    else return
    event.preventDefault()
  }

  chosen() { return this.identities.find((one) => one.id === this.from.value) ?? this.identities[0] }

  /** Whom to choose from. */
  offer(list, id) {
    this.identities = list
    this.from.replaceChildren(...list.map((one) => h("option", { value: one.id, selected: one.id === id }, labelOf(one))))
    this.from.parentElement.hidden = list.length < 2
  }

  /** They were changed in this tab. */
  know(list) {
    this.offer(list, this.from.value)
    this.become(this.chosen())
    this.changed()
  }

  /** What an identity brings along (RFC 8621 §6): its Bcc and its signature; those of the one before go. */
  become(one) {
    const bcc = addressesIn(this.fields.bcc.text()).filter(({ email }) => !this.brought.some((other) => other.email === email))
    const other = (one.bcc ?? []).filter(({ email }) => !bcc.some((known) => known.email === email))
    if (this.brought.length || other.length) this.fields.bcc.put([...bcc, ...other])
    if (other.length) this.fields.bcc.element.parentElement.open = true
    this.brought = other
    this.editor.sign(new Signature(one))
  }

  /** What it brought along when the message was begun is there, or was taken out. */
  resume(one) {
    this.brought = one.bcc ?? []
    this.editor.signature = new Signature(one)
  }

  /** The content as it is now. */
  read() {
    const { text, html, rich } = this.editor.read()
    const fields = Object.fromEntries(Object.entries(this.fields).map(([name, field]) => [name, field.text()]))
    return { ...this.content, ...fields, ...fromOf(this.chosen()), subject: this.subject.value, text, html, rich, attachments: this.uploads.done(), pictures: this.uploads.pictures(), missing: this.uploads.missing() }
  }

  refuse(sentence, focus) {
    this.fault.textContent = sentence
    this.fault.hidden = false
    focus?.focus()
  }

  async send(until = null) {
    if (this.sending || this.closing || open !== this) return  // asked for twice
    this.fault.hidden = true
    this.waiting = false
    const content = this.read()
    for (const field of Object.values(this.fields)) if (field.fault()) return this.refuse(field.fault(), field)
    const recipients = ["to", "cc", "bcc"].flatMap((name) => addressesIn(content[name]))
    if (!recipients.length) return this.refuse(_("To whom? Write an address."), this.fields.to)
    if (this.uploads.busy()) return this.refuse(this.uploads.busy())
    if (this.uploads.tooLarge()) return this.refuse(this.uploads.tooLarge())
    this.sending = this.submit(content, recipients, until).catch((fault) => this.unsent(fault, until))
    await this.withoutChange(this.sending)
    this.sending = null
  }

  unsent(fault, until) {
    this.draft.goOn()
    if (fault instanceof Offline) this.wait(until)
    else if (until && fault.message.startsWith("HOLDUNTIL")) this.refuse(_("For the server that instant is over. Is the clock of this device right?"))
    else this.refuse(_("It was not sent: %(why)s", { why: fault.message }))
  }

  /** Nothing can be changed until the work is done; what is typed meanwhile is for nobody. */
  async withoutChange(work) {
    const before = document.activeElement
    if (this.form.contains(before)) this.element.focus()
    this.form.inert = true
    try {
      return await work
    } finally {
      this.form.inert = false
      if (open === this && [this.element, document.body].includes(document.activeElement)) before.focus()
    }
  }

  /** Send it when there is a connection again, if nothing of it was changed by then. */
  wait(until) {
    this.waiting = true
    this.refuse(_("There is no connection. It will be sent when there is one, unless you change it."))
    connection.addEventListener("online", () => { if (this.waiting && open === this) this.send(until) }, { once: true })
  }

  async submit(written, recipients, until) {
    await this.draft.stop()
    const content = written.identity ? written : { ...written, ...fromOf((await identities())[0]) }
    const [drafts, sent] = [await wanted("drafts"), await wanted("sent")]
    const hold = until ? { HOLDUNTIL: until.toISOString().replace(/\.\d+/, "") } : { HOLDFOR: String(UNDO_S) }
    const each = new Map(recipients.map(({ email }) => [email.toLowerCase(), { email }]))
    const envelope = { mailFrom: { email: content.from.email, parameters: hold }, rcptTo: [...each.values()] }
    const patch = { [`mailboxIds/${drafts.id}`]: null, [`mailboxIds/${sent.id}`]: true, "keywords/$draft": null }
    const plain = flows(content.text) ? { value: encodeFlowed(content.text), flowed: true } : undefined
    const submitting = ["EmailSubmission/set", { create: { sent: { identityId: content.identity, emailId: "#message", envelope } }, onSuccessUpdateEmail: { "#sent": patch } }]
    const create = async () => {
      const [, done] = await this.draft.make(content, drafts, { plain, more: [submitting] })
      if (done instanceof MethodError) throw done
      if (!done.created?.sent) throw new MethodError(done.notCreated.sent)
      return { id: done.created.sent.id, emailId: this.draft.id }
    }
    const submission = (await this.draft.sentBefore(content, drafts, sent)) ?? (await create())
    await this.draft.replaced().catch(() => connection.addEventListener("online", () => this.draft.replaced().catch(() => {}), { once: true }))
    this.gone()
    look().catch(() => {})
    markAnswered(content)
    remember(recipients)
    const again = { ...this.draft.current(content), draft: submission.emailId, unsaved: true }  // it may be deleted from Sent by then
    const takeBack = () => unsend(submission.id, submission.emailId, drafts.id, sent.id, again)
    if (until) say(_("It will be sent %(when)s.", { when: fullDate(until) }), { undoing: takeBack })
    else say(_("Sent."), { undoing: takeBack, ms: UNDO_S * 1000 - 1000 })
  }

  gone({ keep = false } = {}) {
    if (keep) this.draft.end()
    else this.draft.forget()
    this.uploads.end()
    this.element.remove()
    open = null
    focusFirst(this.before, $("list"), $("subject"))
  }

  /** Kept as a draft, without a connection in this browser until there is one; false when it could not be and stays open. What is on its
  way stays open until it is sent, or says why it was not. */
  async close() {
    if (this.sending) return this.sending.then(() => open !== this)
    this.closing ??= this.withoutChange(this.keep()).finally(() => { this.closing = null })
    return this.closing
  }

  async keep() {
    this.fault.hidden = true
    if (this.uploads.busy()) return this.refuse(this.uploads.busy()) ?? false
    try {
      await this.draft.save()
    } catch (fault) {
      if (fault instanceof Offline && this.draft.put(this.read())) return this.leave()
      this.refuse(this.draft.unsaved(fault))
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

  leave() {
    const { place } = this.draft
    this.gone({ keep: true })
    settleLater(place, () => { look().catch(() => {}); say(_("Kept in Drafts.")) })
    say(_("Kept in this browser. It goes to Drafts when there is a connection."), { undoing: resume, label: _("Go on writing") })
    return true
  }

  async discard() {
    let content = this.read()
    try {
      await this.draft.stop()
      content = await this.draft.copied(content)
      if (this.draft.id) await call("Email/set", { destroy: [this.draft.id] })
    } catch (fault) {
      this.draft.goOn()
      return this.refuse(_("It is still in Drafts: %(why)s", { why: fault.message }))
    }
    this.gone()
    say(_("Thrown away."), { undoing: () => write({ ...content, draft: "", unsaved: true }) })
  }

  async later() {
    const until = await chooseInstant(LATEST_S)
    if (until) this.send(until)
  }
}

function markAnswered({ answers, forwards }) {
  const keyword = answers ? "keywords/$answered" : "keywords/$forwarded"
  const id = answers ?? forwards
  if (id) call("Email/set", { update: { [id]: { [keyword]: true } } }, { account: emails.get(id)?.account }).catch(() => {})
}

/** Back into Drafts, if the server has not sent it yet. */
async function unsend(submission, email, drafts, sent, content) {
  const patch = { [`mailboxIds/${sent}`]: null, [`mailboxIds/${drafts}`]: true, "keywords/$draft": true }
  const change = { update: { [submission]: { undoStatus: "canceled" } }, onSuccessUpdateEmail: { [submission]: patch } }
  const done = await attempt(() => call("EmailSubmission/set", change), () => unsend(submission, email, drafts, sent, content))
  if (!done) return
  if (done.notUpdated?.[submission]) return say(_("It was sent already."), { fault: true })
  emails.delete(email)
  await write(content)
  say(_("Taken back: it was not sent."))
}

/** Before signing out: all that is kept in this browser goes to the server, and nothing of it stays here. False: it could not, and the
user rather stays. */
export async function leave() {
  try {
    await open?.sending
    await open?.draft.save()
    open?.draft.forget()
    for (const one of await kept({ all: true })) await settle(one)
    return true
  } catch {
    const lost = h("p", {}, _("What you wrote could not be put into Drafts. It will be lost."))
    return (await ask(_("Sign out?"), lost, [["yes", _("Sign out"), "danger"]])) === "yes"
  }
}
