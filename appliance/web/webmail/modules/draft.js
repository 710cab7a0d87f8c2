/* A draft: in this browser within a quarter of a second, on the server after a pause.

Storage of the server is an SD card, and a save writes some 86 kB and the files once more: while one types there is one every SERVER_MS at
most (every UNKEPT_MS where the browser has no room), and when the tab goes out of sight; with files so seldom that they come to A_MINUTE
octets a minute. The rest is saved when the panel closes. A save is a new message in place of the old one, in one Email/set: there is always
one of them. A request whose response never came may have been carried out: then what it made is looked for by its Message-ID.

Files are parts of the draft that was opened, and go with it. So a message with files is made first, its files are known as its own from
then on, and what it took the place of is destroyed by a second request: a save that is refused loses none of them.

In this browser each message has a place of its own: two tabs may write at once. The tab that writes a message holds a lock of that name;
one without is unfinished: its tab was closed, or crashed. A draft that is opened gets another Message-ID: two devices that have it open
do not take each other's for their own, and both are kept. */

import { _, boot } from "./dom.js"
import { MethodError, call, connection, request, result } from "./jmap.js"
import { addressesIn } from "./recipients.js"
import { wanted } from "./mail.js"

const KEEP_MS = 250
const PAUSE_MS = 4000
const SERVER_MS = 180000
const UNKEPT_MS = 15000
const A_MINUTE = 20_000
const PLACE = `draft ${boot.address} `
const FILES = { properties: ["attachments"], bodyProperties: ["blobId", "cid"] }
const TYPE = /^(?!multipart\/)[a-z\d][\w!#$&^.+-]{0,126}\/[a-z\d][\w!#$&^.+-]{0,126}$/i

/** Without halves of characters, which JSON may not have. */
const sound = (text) => text?.toWellFormed?.() ?? text
/** What stands in a header is one line: names of files, pasted and answered subjects have other characters. */
const line = (text) => sound(text)?.replace(/[\0-\x1f\x7f-\x9f\u2028\u2029]+/g, " ")
/** A type that a part of a message may have: files have others, and whole multiparts. */
const typeOf = (given) => [given.split(";")[0].trim()].find((one) => TYPE.test(one)) ?? "application/octet-stream"

/** Messages kept in this browser that no tab is writing (or `all`), the one typed last at the end; the server may have an older state of each, or none. */
export async function kept({ all = false } = {}) {
  const names = Object.keys(localStorage).filter((name) => name.startsWith(PLACE))
  const held = navigator.locks && !all ? (await navigator.locks.query()).held.map((lock) => lock.name) : []
  const left = names.filter((name) => !held.includes(name) && localStorage.getItem(name))  // another tab may have sent one meanwhile
  const found = left.map((name) => ({ ...JSON.parse(localStorage.getItem(name)), place: name }))
  return found.sort((a, b) => a.at - b.at).map((content) => ({ ...content, unsaved: true }))
}

/** Put what is kept at this place on the server when there is a connection again, unless it was opened meanwhile. */
export function settleLater(place, told) {
  const now = async () => {
    const content = (await kept()).find((one) => one.place === place)
    if (!content) return
    await settle(content)
    told()
  }
  connection.addEventListener("online", () => now().catch(() => settleLater(place, told)), { once: true })
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
  /** `read` gives the content, `tell` shows what is so, `lose` is told of blobs that are gone. */
  constructor(content, read, tell, lose = () => {}) {
    this.content = content
    this.place = content.place ?? PLACE + crypto.randomUUID()
    navigator.locks?.request(this.place, () => this.stopped || new Promise((resolve) => { this.release = resolve }))
    this.id = content.draft ?? ""
    this.read = read
    this.tell = tell
    this.lose = lose
    this.saved = content.unsaved ? "" : this.mark(read())
    this.savedAt = 0
    this.octets = 0
    this.isKept = true
    this.saving = Promise.resolve()
    this.stopped = false
    this.held = false
    this.blobs = new Map()
    this.former = content.former ?? []
    this.uncertain = Boolean(content.unsaved)
    this.away = () => {
      if (document.visibilityState !== "hidden") return
      this.keep()
      if (!this.isKept || Date.now() - this.savedAt >= this.filesMs()) this.save().catch(() => {})
    }
    this.at = content.at ?? Date.now()
    this.back = () => this.schedule()
    document.addEventListener("visibilitychange", this.away)
    connection.addEventListener("online", this.back)
  }

  mark({ identity, to, cc, bcc, subject, text, html, attachments }) {
    return JSON.stringify([identity, to, cc, bcc, subject, text, html, attachments])
  }

  /** Something was typed. */
  changed() {
    this.at = Date.now()
    this.schedule()
  }

  schedule() {
    if (this.stopped) return
    this.keeping ??= setTimeout(() => this.keep(), KEEP_MS)
    clearTimeout(this.pause)
    const every = this.isKept ? Math.max(SERVER_MS, this.filesMs()) : UNKEPT_MS
    const left = Math.min(every, this.savedAt + every - Date.now())  // a clock that was set back
    this.pause = setTimeout(() => this.save().catch((fault) => this.tell(this.unsaved(fault))), Math.max(PAUSE_MS, left))
  }

  /** What is so when the server does not have it. */
  unsaved(fault) {
    if (!this.isKept) return _("Not kept yet: %(why)s", { why: fault.message })
    return fault instanceof MethodError ? _("Kept in this browser, but not in Drafts: %(why)s", { why: fault.message }) : _("Kept in this browser")
  }

  /** How long what the last save wrote of files is enough. */
  filesMs() { return (60_000 * this.octets) / A_MINUTE }

  keep() {
    clearTimeout(this.keeping)
    this.keeping = undefined
    if (!this.stopped) this.tell(this.put(this.read()) ? _("Kept in this browser") : _("This browser has no room to keep it"))
  }

  /** false: the browser has no room for it. */
  put(content) {
    try {
      localStorage.setItem(this.place, JSON.stringify({ ...this.current(content), draft: this.id, former: this.former, at: this.at }))
      this.isKept = true
    } catch {
      this.isKept = false
    }
    return this.isKept
  }

  /** Put it on the server, if anything changed. One save at a time. */
  save() {
    clearTimeout(this.pause)
    this.saving = this.saving.catch(() => {}).then(() => this.saveNow())
    return this.saving
  }

  async saveNow() {
    if (this.stopped || this.held) return
    await this.replaced()
    const content = this.read()
    const mark = this.mark(content)
    if (mark === this.saved) return
    const known = this.id
    const [done] = await this.make(content, await wanted("drafts"))
    this.saved = mark
    this.savedAt = Date.now()
    if (!this.stopped && !this.put(content)) localStorage.removeItem(this.place)  // older than what the server has now
    const gone = await this.replaced() ?? done.notDestroyed
    if (!this.stopped) this.tell(gone?.[known] ? _("Kept in Drafts. It was changed or deleted elsewhere as well.") : _("Kept in Drafts"))
  }

  /** Make the message in place of what there is of it; `more`: calls that belong to it. The responses. */
  async make(content, drafts, { plain, more = [] } = {}) {
    const older = await this.older(drafts)
    const all = [...content.attachments, ...(content.pictures ?? [])], files = all.length
    this.octets = all.reduce((sum, { size }) => sum + (size ?? 0), 0)
    const set = { create: { message: this.email(content, drafts.id, plain) }, ...(files ? {} : { destroy: older }) }
    const found = await this.certainly(request([["Email/set", set], ...more, ...(files ? [["Email/get", { ids: ["#message"], ...FILES }]] : [])]))
    const [made] = found
    if (made instanceof MethodError) throw made
    if (made.destroyed?.includes(this.id)) this.id = ""
    const { notFound, ...why } = made.notCreated?.message ?? {}
    if (notFound) this.lose((blobId) => notFound.includes(this.blobs.get(blobId) ?? blobId))
    if (!made.created?.message) throw new MethodError(why)
    this.id = made.created.message.id
    if (files && this.own(content, found.at(-1))) this.former = older
    return found
  }

  /** The message is made of this content: its files are parts of it. False when it is not known which. */
  own(content, got) {
    const found = got.list?.[0]?.attachments ?? []
    const files = found.filter((one) => !one.cid)
    if (files.length !== content.attachments.length) return false
    for (const [at, one] of content.attachments.entries()) this.blobs.set(one.blobId, files[at].blobId)
    for (const one of content.pictures ?? []) this.blobs.set(one.blobId, found.find((other) => other.cid === one.cid)?.blobId ?? one.blobId)
    return true
  }

  /** The content with its files as parts of the message that there is now. */
  current(content) {
    const moved = (list) => list?.map((one) => ({ ...one, blobId: this.blobs.get(one.blobId) ?? one.blobId }))
    return { ...content, attachments: moved(content.attachments), pictures: moved(content.pictures) }
  }

  /** The content with its files as uploads, which outlive the draft that they are parts of. */
  async copied(content) {
    const files = this.id ? [...content.attachments, ...(content.pictures ?? [])].map(({ blobId }) => this.blobs.get(blobId) ?? blobId) : []
    if (!files.length) return content
    const create = Object.fromEntries(files.map((blobId, at) => [at, { data: [{ blobId }] }]))
    const { created } = await call("Blob/upload", { create })
    const found = new Map(files.map((blobId, at) => [blobId, created?.[at]?.id ?? blobId]))
    const moved = (list) => list?.map((one) => ({ ...one, blobId: found.get(one.blobId) }))
    const { attachments, pictures } = this.current(content)
    return { ...content, attachments: moved(attachments), pictures: moved(pictures) }
  }

  /** Destroy what a message with files took the place of; what could not be is returned. */
  async replaced() {
    if (!this.former.length) return
    const { notDestroyed } = await call("Email/set", { destroy: this.former })
    this.former = []
    return notDestroyed
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
  async sentBefore(content, drafts, sent) {
    if (!this.uncertain) return null
    const ids = [...(await this.foundIn(sent)), ...(await this.foundIn(drafts))]
    if (!ids.length) return null
    const [, got] = await request([["EmailSubmission/query", { filter: { emailIds: ids } }], ["EmailSubmission/get", { "#ids": result(0, "EmailSubmission/query", "/ids") }]])
    if (got instanceof MethodError) throw got
    const found = got.list.find((one) => one.undoStatus !== "canceled")
    if (!found) return null
    const older = this.id && this.id !== found.emailId ? [this.id] : []
    if (this.own(content, await call("Email/get", { ids: [found.emailId], ...FILES }))) this.former = older
    this.id = found.emailId
    return found
  }

  /** Ids of this message in a mailbox. */
  async foundIn(mailbox) {
    const conditions = [{ inMailbox: mailbox.id }, { header: ["Message-ID", this.content.messageId[0]] }]
    return (await call("Email/query", { filter: { operator: "AND", conditions } })).ids
  }

  /** No saves until it goes on; the one under way is awaited. A save beside a sending would leave a draft of what is sent. */
  async stop() {
    this.held = true
    clearTimeout(this.pause)
    await this.saving.catch(() => {})
    await this.replaced()
  }

  goOn() {
    this.held = false
    this.schedule()
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
    const { html, rich, attachments, pictures: known } = this.current(content)
    const from = content.from ?? { name: "", email: boot.address }
    const list = (given) => addressesIn(given).map(({ name, email }) => ({ name: line(name) || null, email }))
    const parts = attachments.map(({ blobId, type, name }) => ({ blobId, type: typeOf(type), name: line(name), disposition: "attachment" }))
    const pictures = rich ? (known ?? []).filter((one) => html.includes(`cid:${one.cid}`)) : []
    return {
      mailboxIds: { [mailbox]: true }, keywords: { $draft: true, $seen: true },
      from: [{ name: from.name || null, email: from.email }],
      to: list(content.to), cc: list(content.cc), bcc: list(content.bcc),
      ...(content.replyTo?.length ? { replyTo: content.replyTo } : {}),
      subject: line(content.subject), messageId: content.messageId,
      ...(content.inReplyTo?.length ? { inReplyTo: content.inReplyTo } : {}),
      ...(content.references?.length ? { references: content.references } : {}),
      bodyValues: { text: { value: sound(plain.value) }, ...(rich ? { html: { value: sound(html) } } : {}) },
      textBody: [{ partId: "text", ...(plain.flowed ? { "header:Content-Type": " text/plain; format=flowed" } : { type: "text/plain" }) }],
      ...(rich ? { htmlBody: [{ partId: "html", type: "text/html" }] } : {}),
      attachments: [...parts, ...pictures.map(({ blobId, type, name, cid }) => ({ blobId, type: typeOf(type), name: line(name), cid, disposition: "inline" }))],
    }
  }
}
