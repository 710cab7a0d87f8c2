/* Files of a message: chosen, dropped or pasted, and uploaded one after another with their progress.

A file goes in parts of PART octets, which the server then makes one (Blob/upload, RFC 9404 §4.1). When the connection is lost the file
goes on by itself with the part that was under way: what is there already is not sent again.

| state    | what happens next                                                           |
|----------|-----------------------------------------------------------------------------|
| going    | its parts are sent, or it waits for the files before it                     |
| waiting  | there is no connection: it goes on when there is one                        |
| failed   | it was refused or could not be read: the user tries again or removes it      |
| done     | it has a blob                                                               |

A message is not sent without a file that its list shows. When its tab ends before a file is there, the list shows it as failed.

Encoded for mail a file takes 1.37 times its octets; what would be too large in all is said before it is uploaded. */

import { $, _, boot, focusFirst, h, icon, iconButton, size } from "./dom.js"
import { MethodError, Offline, call, connection, fields, isElsewhere, limits, lost, signedOut } from "./jmap.js"

const ENCODED = 1.37
const LARGEST = Math.min(boot.largestMessage, ENCODED * boot.capabilities["urn:ietf:params:jmap:mail"].maxSizeAttachmentsPerEmail)
const PART = 4_000_000
const BUSY_MS = 500

export class Uploads {
  constructor({ attachments, pictures = [], missing = [] }, changed) {
    this.changed = changed
    const lost = missing.map((name) => ({ name, state: "failed", why: _("did not get there: attach it again") }))
    this.items = [...attachments.map((one) => ({ ...one, state: "done" })), ...lost]
    this.inline = [...pictures]
    this.pasted = 0
    this.last = Promise.resolve()
    this.input = h("input", { type: "file", multiple: true, hidden: true, onchange: () => { this.add(this.input.files); this.input.value = "" } })
    this.list = h("ul", { "aria-label": _("Attachments") })
    this.said = h("p", { className: "dim", role: "status" })
    this.element = h("div", { className: "attachments uploads" }, this.input, this.list, this.said)
    this.urls = []
    this.back = () => this.items.filter((one) => one.state === "waiting").forEach((one) => this.upload(one))
    connection.addEventListener("online", this.back)
    this.draw()
  }

  choose() { this.input.click() }
  done() { return this.items.filter((one) => one.state === "done").map(({ blobId, type, name, size: octets }) => ({ blobId, type, name, size: octets })) }
  pictures() { return this.inline }
  missing() { return this.items.filter((one) => one.state !== "done").map((one) => one.name) }

  /** Why the message is not whole yet, in words; "" when it is. */
  busy() {
    if (this.pasted || this.items.some((one) => one.state === "going" || one.state === "waiting")) return _("A file is still on its way. Wait until it is there, or remove it.")
    const failed = this.items.find((one) => one.state === "failed")
    return failed ? _("%(name)s is not attached. Try again, or remove it.", { name: failed.name }) : ""
  }

  tooLarge(more = 0) {
    const octets = [...this.items, ...this.inline].reduce((sum, one) => sum + (one.state === "failed" ? 0 : one.size ?? 0), more)
    return octets * ENCODED > LARGEST ? _("That is too large: a message may have %(most)s of files.", { most: size(LARGEST / ENCODED) }) : ""
  }

  takeDrops(element) {
    element.addEventListener("dragover", (event) => { if (event.dataTransfer.types.includes("Files")) { event.preventDefault(); element.classList.add("target") } })
    element.addEventListener("dragleave", () => element.classList.remove("target"))
    element.addEventListener("drop", (event) => {
      element.classList.remove("target")
      if (!event.dataTransfer.files.length) return
      event.preventDefault()
      this.add(event.dataTransfer.files)
    })
  }

  takePastes(element) {
    element.addEventListener("paste", (event) => {
      const { files } = event.clipboardData
      if (event.defaultPrevented || !files.length || event.clipboardData.getData("text/plain")) return
      event.preventDefault()
      this.add(files)
    })
  }

  add(files) {
    this.said.textContent = ""
    for (const file of files) {
      const fault = file.size > limits.maxSizeUpload ? _("%(name)s is too large: %(most)s at most.", { name: file.name, most: size(limits.maxSizeUpload) }) : this.tooLarge(file.size)
      if (fault) { this.said.textContent = fault; continue }
      const item = upload(file, file.name)
      this.items.push(item)
      this.upload(item)
    }
    this.draw()
    this.changed()
  }

  /** A picture in the text: {cid, url}; null when there is none, and it is said why. */
  async picture(file) {
    const fault = this.tooLarge(file.size)
    this.said.textContent = fault
    if (fault) return null
    const item = { ...upload(file, file.name || "picture.png"), cid: `${crypto.randomUUID()}@${location.hostname}` }
    this.pasted++
    try {
      await send(item, () => {})
    } catch (fault) {
      this.said.textContent = _("%(name)s is not in the text: %(why)s", { name: item.name, why: fault.message })
      return null
    } finally {
      this.pasted--
    }
    this.inline.push(item)
    this.urls.push(URL.createObjectURL(file))
    return { cid: item.cid, url: this.urls.at(-1) }
  }

  /** The message is not written any more: nothing of it is uploaded, nothing of its files is held. */
  end() {
    connection.removeEventListener("online", this.back)
    for (const item of this.items) item.stop?.()
    this.items = []
    for (const url of this.urls) URL.revokeObjectURL(url)
  }

  /** Behind the files that are under way. */
  upload(item) {
    item.state = "going"
    this.draw()
    this.last = this.last.then(() => this.items.includes(item) && send(item, () => { item.bar.value = item.sent })).then(
      () => { item.state = "done"; this.changed() },
      (fault) => { item.state = fault instanceof Offline ? "waiting" : "failed"; item.why = fault.type ? "" : fault.message }).finally(() => this.draw())
  }

  /** Those are not on the server any more: another device replaced the draft that they were parts of. */
  lose(isGone) {
    const gone = this.items.filter((one) => one.state === "done" && isGone(one.blobId))
    for (const one of gone) Object.assign(one, { state: "failed", parts: [], sent: 0, why: _("is not on the server any more: attach it again") })
    if (!gone.length) return
    this.draw()
    this.changed()
  }

  remove(item) {
    item.stop?.()
    this.items = this.items.filter((one) => one !== item)
    this.draw()
    this.changed()
  }

  draw() {
    const words = { waiting: _("waits for a connection"), failed: _("was refused by the server") }
    const buttons = () => [...this.list.querySelectorAll("button")]
    const focused = buttons().indexOf(document.activeElement)
    for (const item of this.items) item.bar = h("progress", { max: item.size || 1, value: item.sent ?? 0, "aria-label": _("%(name)s is uploaded", { name: item.name }) })
    this.list.replaceChildren(...this.items.map((item) => h("li", {}, icon("file"), h("span", { className: "name" }, item.name),
      item.state === "going" ? item.bar : h("span", { className: "dim" }, item.state === "failed" && item.why || (words[item.state] ?? size(item.size ?? 0))),
      item.state === "failed" && item.file ? h("button", { type: "button", className: "quiet small", onclick: () => this.upload(item) }, _("Try again")) : null,
      iconButton("close", _("Remove %(name)s", { name: item.name }), () => this.remove(item)))))
    this.list.hidden = !this.items.length
    if (focused >= 0) focusFirst(buttons()[Math.min(focused, buttons().length - 1)], $("send"))
  }
}

const upload = (file, name) => ({ file, name, type: file.type || "application/octet-stream", size: file.size, state: "going", sent: 0, parts: [] })

/** All parts that are not there yet, then one blob of them. Throws Offline, MethodError. */
async function send(item, progressed) {
  for (let at = item.parts.length; at * PART < item.size || at === 0; at++) {
    const before = at * PART
    item.parts.push(await sendPart(item, item.file.slice(before, before + PART), (octets) => { item.sent = before + octets; progressed() }))
  }
  item.blobId = item.parts.length > 1 ? await joined(item) : item.parts[0]
}

/** The blob of one part. What cannot be read (a folder, a file that was changed or removed) would seem to be no connection. */
async function sendPart(item, file, told) {
  const part = await file.arrayBuffer().catch(() => { throw new MethodError({ description: _("cannot be read: it is a folder, or was changed") }) })
  for (;;) {
    if (item.stopped) throw new MethodError({ type: "stopped" })
    const { status, type, responseText } = await post(item, part, told)
    if (status === 201) return JSON.parse(responseText).blobId
    if (status === 0 || isElsewhere(status, type)) { lost(); throw new Offline() }
    if (status === 401 || status === 403) throw signedOut()
    if (status !== 429) throw new MethodError({ type: `status ${status}` })
    await new Promise((resolve) => setTimeout(resolve, BUSY_MS))  // other tabs upload too
  }
}

/** A request that tells its progress, which fetch does not. */
function post(item, part, told) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest()
    item.stop = () => { item.stopped = true; sending.abort() }
    sending.open("POST", `/jmap/upload/${boot.account}/`)
    sending.setRequestHeader("content-type", item.type)
    for (const [name, value] of Object.entries(fields)) sending.setRequestHeader(name, value)
    sending.upload.onprogress = (event) => told(event.loaded)
    sending.onload = sending.onerror = () => resolve({ status: sending.status, type: sending.getResponseHeader("content-type"), responseText: sending.responseText })
    sending.onabort = () => reject(new MethodError({ type: "stopped" }))
    sending.send(part)
  })
}

async function joined(item) {
  const done = await call("Blob/upload", { create: { file: { data: item.parts.map((blobId) => ({ blobId })), type: item.type } } })
  if (done.created?.file) return done.created.file.id
  item.parts = []  // the server forgot some: from the beginning, when it is tried again
  throw new MethodError(done.notCreated.file)
}
