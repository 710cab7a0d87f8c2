/* What a reply, a forward or an opened draft begins with. The original is quoted as text, which the server made of it; its HTML never
comes into this page. */

import { _, addressText, boot, fullDate } from "./dom.js"
import { call, send } from "./jmap.js"
import { emails } from "./mail.js"

const PROPERTIES = ["from", "to", "cc", "bcc", "replyTo", "subject", "receivedAt", "messageId", "references", "inReplyTo", "attachments", "htmlBody", "textBody", "bodyValues"]
const TYPE = "header:Content-Type:asRaw"
const PARTS = ["partId", "blobId", "type", "name", "cid", "disposition", "size", TYPE]
const MOST_REFERENCES = 30

const accountOf = (id) => emails.get(id)?.account ?? boot.account
const get = async (id, more = {}) => (await call("Email/get", { ids: [id], properties: PROPERTIES, bodyProperties: PARTS, ...more }, { account: accountOf(id) })).list[0]
const textOf = async (id) => (await send(`/mail/text/${accountOf(id)}/${id}`)).text()

export async function answerTo(row, how, identities) {
  const [email, text] = await Promise.all([get(row.id), textOf(row.id)])
  const own = new Set(identities.map((one) => one.email.toLowerCase()))
  const mine = (one) => own.has(one.email.toLowerCase())
  const addressed = [...(email.to ?? []), ...(email.cc ?? [])]
  const identity = identities.find((one) => addressed.some((to) => to.email.toLowerCase() === one.email.toLowerCase()))?.id
  const from = email.from?.[0] ?? { name: "", email: "" }
  const references = [...(email.references ?? email.inReplyTo ?? []), ...(email.messageId ?? [])].slice(-MOST_REFERENCES)
  const common = { identity, inReplyTo: email.messageId ?? [], references }
  if (how === "forward") return { ...common, inReplyTo: [], references: [], title: _("Forward"), forwards: row.id, subject: prefixed("Fwd", email.subject), text: forwarded(email, text), attachments: await ownOnes(attached(email), accountOf(row.id)) }
  const sender = mine(from) ? email.to ?? [] : email.replyTo?.length ? email.replyTo : [from]
  const others = how === "all" ? addressed.filter((one) => !mine(one) && !sender.some((to) => to.email.toLowerCase() === one.email.toLowerCase())) : []
  const quote = text.trimEnd().split("\n").map((line) => (line.startsWith(">") ? `>${line}` : `> ${line}`)).join("\n")
  return { ...common, title: _("Reply"), answers: row.id, to: sender, cc: others, subject: prefixed("Re", email.subject),
    text: `\n\n${_("%(name)s wrote on %(date)s:", { name: from.name || from.email, date: fullDate(email.receivedAt) })}\n${quote}\n` }
}

/** "Re: " once, whatever languages put there before. */
const prefixed = (prefix, subject) => `${prefix}: ${(subject ?? "").replace(/^((re|aw|sv|fwd?|wg|antw)(\[\d+\])?:\s*)+/i, "")}`

function forwarded(email, text) {
  const list = (name) => (email[name] ?? []).map(addressText).join(", ")
  const lines = [[_("From"), list("from")], [_("To"), list("to")], [_("Cc"), list("cc")], [_("Date"), fullDate(email.receivedAt)], [_("Subject"), email.subject]]
  return `\n\n-------- ${_("Forwarded message")} --------\n${lines.filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n${text}`
}

const attached = (email) => email.attachments.filter((part) => !(part.cid && part.disposition === "inline")).map(({ blobId, type, name, size }) => ({ blobId, type, name: name ?? "attachment", size }))

/** The same attachments as blobs of one's own account, for a message that another shares. */
async function ownOnes(parts, fromAccountId) {
  if (fromAccountId === boot.account || !parts.length) return parts
  const { copied } = await call("Blob/copy", { fromAccountId, blobIds: parts.map((part) => part.blobId) })
  return parts.filter((part) => copied?.[part.blobId]).map((part) => ({ ...part, blobId: copied[part.blobId] }))
}

/** A draft as it was left; HTML of other programs is opened as text. */
export async function draftOf(id) {
  const email = await get(id, { fetchTextBodyValues: true, fetchHTMLBodyValues: true })
  const [html, plain] = [email.htmlBody[0], email.textBody[0]]
  const markup = html?.type === "text/html" ? email.bodyValues[html.partId].value : ""
  const rich = Boolean(markup) && !/<(?!\/?(b|i|u|ul|ol|li|blockquote|p|br|a|img)\b)/i.test(markup)
  const text = plain?.type === "text/plain" && !/format\s*=\s*"?flowed/i.test(plain[TYPE]) ? email.bodyValues[plain.partId].value : await textOf(id)
  const pictures = email.attachments.filter((part) => part.cid && part.disposition === "inline")
  return { title: _("Draft"), draft: id, messageId: email.messageId ?? undefined, to: email.to ?? [], cc: email.cc ?? [], bcc: email.bcc ?? [], subject: email.subject ?? "", text, rich, html: rich ? markup : "", pictures,
    inReplyTo: email.inReplyTo ?? [], references: email.references ?? [], attachments: attached(email) }
}
