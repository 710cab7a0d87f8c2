/* Files of a message: chosen, dropped or pasted, uploaded at once with their progress, tried again when a connection was lost.

Encoded for mail a file takes 1.37 times its octets; what would be too large in all is said before it is uploaded. */

import { _, boot, h, icon, iconButton, size } from "./dom.js"
import { connection, fields, limits } from "./jmap.js"

const ENCODED = 1.37
const LARGEST = boot.largestMessage ?? boot.capabilities["urn:ietf:params:jmap:mail"].maxSizeAttachmentsPerEmail

export class Uploads {
  constructor(attachments, changed) {
    this.changed = changed
    this.items = attachments.map((one) => ({ ...one, state: "done" }))
    this.inline = []
    this.input = h("input", { type: "file", multiple: true, hidden: true, onchange: () => { this.add(this.input.files); this.input.value = "" } })
    this.list = h("ul", { "aria-label": _("Attachments") })
    this.said = h("p", { className: "dim", role: "status" })
    this.element = h("div", { className: "attachments uploads" }, this.input, this.list, this.said)
    connection.addEventListener("online", () => this.items.filter((one) => one.state === "waiting").forEach((one) => this.upload(one)))
    this.draw()
  }

  choose() { this.input.click() }
  done() { return this.items.filter((one) => one.state === "done").map(({ blobId, type, name, size: octets }) => ({ blobId, type, name, size: octets })) }
  pictures() { return this.inline }
  busy() { return this.items.some((one) => one.state === "going" || one.state === "waiting") }

  tooLarge(more = 0) {
    const octets = this.items.reduce((sum, one) => sum + (one.state === "failed" ? 0 : one.size ?? 0), more)
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

  add(files) {
    for (const file of files) {
      const fault = file.size > limits.maxSizeUpload ? _("%(name)s is too large: %(most)s at most.", { name: file.name, most: size(limits.maxSizeUpload) }) : this.tooLarge(file.size)
      if (fault) { this.said.textContent = fault; continue }
      const item = { file, name: file.name, type: file.type || "application/octet-stream", size: file.size, state: "going", sent: 0 }
      this.items.push(item)
      this.upload(item)
    }
    this.draw()
  }

  /** A picture in the text: {cid, url}. */
  async picture(file) {
    const item = { file, name: file.name || "picture.png", type: file.type, size: file.size, state: "going", sent: 0, cid: `${crypto.randomUUID()}@${location.hostname}` }
    await this.send(item)
    this.inline.push(item)
    return { cid: item.cid, url: URL.createObjectURL(file) }
  }

  upload(item) {
    item.state = "going"
    this.send(item).then(() => { item.state = "done"; this.changed() }, (fault) => { item.state = fault.offline ? "waiting" : "failed" }).finally(() => this.draw())
  }

  send(item) {
    return new Promise((resolve, reject) => {
      const sending = new XMLHttpRequest()
      item.stop = () => sending.abort()
      sending.open("POST", `/jmap/upload/${boot.account}/`)
      sending.setRequestHeader("content-type", item.type)
      for (const [name, value] of Object.entries(fields)) sending.setRequestHeader(name, value)
      sending.upload.onprogress = (event) => { item.sent = event.loaded; this.draw() }
      sending.onload = () => {
        if (sending.status !== 201) return reject(new Error(String(sending.status)))
        item.blobId = JSON.parse(sending.responseText).blobId
        resolve()
      }
      sending.onerror = () => reject(Object.assign(new Error(), { offline: true }))
      sending.onabort = () => reject(new Error())
      sending.send(item.file)
    })
  }

  remove(item) {
    item.stop?.()
    this.items = this.items.filter((one) => one !== item)
    this.draw()
    this.changed()
  }

  draw() {
    const words = { waiting: _("waits for a connection"), failed: _("was refused by the server") }
    this.list.replaceChildren(...this.items.map((item) => h("li", {}, icon("file"), h("span", { className: "name" }, item.name),
      item.state === "going" ? h("progress", { max: item.size || 1, value: item.sent, "aria-label": _("%(name)s is uploaded", { name: item.name }) }) : h("span", { className: "dim" }, words[item.state] ?? size(item.size ?? 0)),
      item.state === "failed" ? h("button", { type: "button", className: "quiet small", onclick: () => this.upload(item) }, _("Try again")) : null,
      iconButton("close", _("Remove %(name)s", { name: item.name }), () => this.remove(item)))))
    this.list.hidden = !this.items.length
  }
}
