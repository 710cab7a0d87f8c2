/* A draft: in this browser within a quarter of a second, on the server after a pause.

Storage of the server is an SD card, and a save writes some 86 kB: while one types there is one every SERVER_MS at most, and the rest
when the panel closes or the tab goes out of sight. A save is a new message in place of the old one, in one Email/set: there is always
one of them. A request whose response never came may have been carried out: then what it made is looked for by its Message-ID.

In this browser each message has a place of its own, by its Message-ID: two tabs may write at once. The tab that writes a message holds a
lock of that name; one without is unfinished: its tab was closed, or crashed. */

import { _, boot } from "./dom.js"
import { MethodError, call, connection, request, result } from "./jmap.js"
import { addressesIn } from "./recipients.js"
import { wanted } from "./mail.js"

const KEEP_MS = 250
const PAUSE_MS = 4000
const SERVER_MS = 180000
const PLACE = `draft ${boot.address} `

/** Messages kept in this browser that no tab is writing (or `all`), the newest last; the server may have an older state of each, or none. */
export async function kept({ all = false } = {}) {
  const names = Object.keys(localStorage).filter((name) => name.startsWith(PLACE))
  const held = navigator.locks && !all ? (await navigator.locks.query()).held.map((lock) => lock.name) : []
  const found = names.filter((name) => !held.includes(name)).map((name) => JSON.parse(localStorage.getItem(name)))
  return found.sort((a, b) => a.at - b.at).map((content) => ({ ...content, unsaved: true }))
}

/** Put what was kept on the server as a draft that nobody has open. */
export async function settle(content) {
  const draft = new Draft(content, () => content, () => {})
  try {
    await draft.save()
  } catch (fault) {
    draft.end()
    throw fault
  }
  draft.forget()
}

export class Draft {
  /** `read` gives the content, `tell` shows what is so. */
  constructor(content, read, tell) {
    this.content = content
    this.place = PLACE + content.messageId[0]
    navigator.locks?.request(this.place, () => this.stopped || new Promise((resolve) => { this.release = resolve }))
    this.id = content.draft ?? ""
    this.read = read
    this.tell = tell
    this.saved = content.unsaved ? "" : this.mark(read())
    this.savedAt = 0
    this.saving = Promise.resolve()
    this.stopped = false
    this.uncertain = Boolean(content.unsaved)
    this.away = () => { if (document.visibilityState === "hidden") { this.keep(); this.save().catch(() => {}) } }
    this.back = () => this.changed()
    document.addEventListener("visibilitychange", this.away)
    connection.addEventListener("online", this.back)
  }

  mark({ to, cc, bcc, subject, text, html, attachments }) {
    return JSON.stringify([to, cc, bcc, subject, text, html, attachments])
  }

  changed() {
    if (this.stopped) return
    this.keeping ??= setTimeout(() => { this.keeping = undefined; this.keep() }, KEEP_MS)
    clearTimeout(this.pause)
    this.pause = setTimeout(() => this.save().catch(() => this.tell(_("Kept in this browser"))), Math.max(PAUSE_MS, this.savedAt + SERVER_MS - Date.now()))
  }

  keep() {
    if (this.stopped) return
    this.put(this.read())
    this.tell(_("Kept in this browser"))
  }

  put(content) {
    localStorage.setItem(this.place, JSON.stringify({ ...content, draft: this.id, at: Date.now() }))
  }

  /** Put it on the server, if anything changed. One save at a time. */
  save() {
    clearTimeout(this.pause)
    this.saving = this.saving.catch(() => {}).then(() => this.saveNow())
    return this.saving
  }

  async saveNow() {
    const content = this.read()
    const mark = this.mark(content)
    if (this.stopped || mark === this.saved) return
    const drafts = await wanted("drafts")
    const destroy = await this.older(drafts)
    const [done] = await this.certainly(request([["Email/set", { create: { draft: this.email(content, drafts.id) }, destroy }]]))
    if (done instanceof MethodError) throw done
    if (!done.created?.draft) throw new MethodError(done.notCreated.draft)
    this.id = done.created.draft.id
    this.saved = mark
    this.savedAt = Date.now()
    if (!this.stopped) {
      this.put(content)
      this.tell(_("Kept in Drafts"))
    }
  }

  /** What a request that makes the message comes to; until it is answered nobody knows whether it was carried out. */
  async certainly(asked) {
    this.uncertain = true
    const found = await asked
    this.uncertain = false
    return found
  }

  /** What this save takes the place of: the draft known, and one whose save was never answered. */
  async older(drafts) {
    const known = this.id ? [this.id] : []
    if (!this.uncertain) return known
    return [...new Set([...known, ...(await this.foundIn(drafts))])]
  }

  /** The submission of this message when it was sent by a request that was never answered. */
  async sentBefore(drafts, sent) {
    if (!this.uncertain) return null
    const ids = [...(await this.foundIn(sent)), ...(await this.foundIn(drafts))]
    if (!ids.length) return null
    const [, got] = await request([["EmailSubmission/query", { filter: { emailIds: ids } }], ["EmailSubmission/get", { "#ids": result(0, "EmailSubmission/query", "/ids") }]])
    if (got instanceof MethodError) throw got
    return got.list.find((one) => one.undoStatus !== "canceled") ?? null
  }

  /** Ids of this message in a mailbox. */
  async foundIn(mailbox) {
    const conditions = [{ inMailbox: mailbox.id }, { header: ["Message-ID", this.content.messageId[0]] }]
    return (await call("Email/query", { filter: { operator: "AND", conditions } })).ids
  }

  /** No more saves; the one under way is awaited. */
  async stop() {
    clearTimeout(this.pause)
    await this.saving.catch(() => {})
  }

  /** It is sent, or kept on the server: nothing of it stays in this browser. */
  forget() {
    this.end()
    localStorage.removeItem(this.place)
  }

  /** This tab writes it no more. */
  end() {
    this.stopped = true
    clearTimeout(this.pause)
    clearTimeout(this.keeping)
    document.removeEventListener("visibilitychange", this.away)
    connection.removeEventListener("online", this.back)
    this.release?.()
  }

  /** The message as Email/set creates it (RFC 8621 §4.6); a draft's text is as it was typed. */
  email(content, mailbox, plain = { value: content.text }) {
    const { html, rich } = content
    const from = content.from ?? { name: "", email: boot.address }
    const list = (given) => addressesIn(given).map(({ name, email }) => ({ name: name || null, email }))
    const parts = content.attachments.map(({ blobId, type, name }) => ({ blobId, type, name, disposition: "attachment" }))
    const pictures = rich ? (content.pictures ?? []).filter((one) => html.includes(`cid:${one.cid}`)) : []
    return {
      mailboxIds: { [mailbox]: true }, keywords: { $draft: true, $seen: true },
      from: [{ name: from.name || null, email: from.email }],
      to: list(content.to), cc: list(content.cc), bcc: list(content.bcc),
      subject: content.subject, messageId: content.messageId,
      ...(content.inReplyTo?.length ? { inReplyTo: content.inReplyTo } : {}),
      ...(content.references?.length ? { references: content.references } : {}),
      bodyValues: { text: { value: plain.value }, ...(rich ? { html: { value: html } } : {}) },
      textBody: [{ partId: "text", ...(plain.flowed ? { "header:Content-Type": " text/plain; format=flowed" } : { type: "text/plain" }) }],
      ...(rich ? { htmlBody: [{ partId: "html", type: "text/html" }] } : {}),
      attachments: [...parts, ...pictures.map(({ blobId, type, name, cid }) => ({ blobId, type, name, cid, disposition: "inline" }))],
    }
  }
}
