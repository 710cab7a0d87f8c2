/* What became of a message that was sent: waiting, delivered or refused, for each recipient, beside it in Sent. */

import { _, fullDate, h, icon, say } from "./dom.js"
import { MethodError, call, request } from "./jmap.js"
import { wanted } from "./mail.js"
import { load } from "./main.js"

export async function showDelivery(email, place) {
  const [, got] = await request([["EmailSubmission/query", { filter: { emailIds: [email] } }], ["EmailSubmission/get", { "#ids": { resultOf: "0", name: "EmailSubmission/query", path: "/ids" } }]])
  if (!got || got instanceof MethodError) return
  place.replaceChildren(...got.list.map((one) => h("div", { className: "fact" }, icon("sent"), lines(one), takeBack(one, email))))
}

function lines(one) {
  if (one.undoStatus === "canceled") return h("p", {}, _("It was taken back and not sent."))
  const waits = one.undoStatus === "pending" && new Date(one.sendAt) > new Date()
  if (waits) return h("p", {}, _("It will be sent %(when)s.", { when: fullDate(one.sendAt) }))
  const rows = Object.entries(one.deliveryStatus ?? {}).map(([address, status]) => h("li", {}, h("strong", {}, address), " ", words(status)))
  return h("div", {}, h("p", {}, _("Sent %(when)s", { when: fullDate(one.sendAt) })), h("ul", {}, rows))
}

function words({ delivered, smtpReply }) {
  const reply = smtpReply && !smtpReply.startsWith("250") ? ` (${smtpReply})` : ""
  const said = { yes: _("delivered"), no: _("not delivered"), queued: _("waiting; it is tried again") }
  return (said[delivered] ?? _("handed on to the server of the recipient")) + (delivered === "unknown" ? "" : reply)
}

function takeBack(one, email) {
  if (one.undoStatus !== "pending") return null
  return h("button", { type: "button", className: "quiet", onclick: async () => {
    const patch = { mailboxIds: { [(await wanted("drafts")).id]: true }, "keywords/$draft": true }
    const done = await call("EmailSubmission/set", { update: { [one.id]: { undoStatus: "canceled" } }, onSuccessUpdateEmail: { [one.id]: patch } })
    if (done.notUpdated?.[one.id]) return say(_("It was sent already."), { fault: true })
    say(_("Taken back: it is in Drafts."))
    return (await load("./compose.js")).edit(email)
  } }, _("Take back"))
}
