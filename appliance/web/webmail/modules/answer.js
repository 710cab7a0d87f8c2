/* What a reply, a forward or an opened draft begins with. The original is quoted as text, which the server made of it; its HTML never
comes into this page. */

import { isPicture, isText } from "./attachments.js"
import { _, addressText, boot, fullDate } from "./dom.js"
import { call, send } from "./jmap.js"
import { emails } from "./mail.js"
import { isSimple } from "./markup.js"

const DELIVERED = "header:Delivered-To:asText:all"
const PROPERTIES = ["from", "to", "cc", "bcc", "replyTo", "subject", "receivedAt", "messageId", "references", "inReplyTo", "attachments", "htmlBody", "textBody", "bodyValues", DELIVERED]
const TYPE = "header:Content-Type:asRaw"
const PARTS = ["partId", "blobId", "type", "name", "cid", "disposition", "size", TYPE]
const MOST_REFERENCES = 30
/** What a list of message ids may have; others have no place in an answer. */
const isId = (id) => /^[!-;=?-~]{1,900}$/.test(id)
/** The first, which the conversation began with, and the newest (RFC 5537 §3.4.4 for the same in news). */
const shortened = (ids) => (ids.length > MOST_REFERENCES ? [ids[0], ...ids.slice(1 - MOST_REFERENCES)] : ids)
const eachOnce = (list) => [...new Map(list.map((one) => [one.email.toLowerCase(), one])).values()]

const accountOf = (id) => emails.get(id)?.account ?? boot.account
const get = async (id, more = {}) => (await call("Email/get", { ids: [id], properties: PROPERTIES, bodyProperties: PARTS, ...more }, { account: accountOf(id) })).list[0]
const textOf = async (id) => (await send(`/mail/text/${accountOf(id)}/${id}`)).text()

/** The identity that a message was sent by, or that it came to, the addresses it names first. */
function identityOf(email, identities) {
  const delivered = (email[DELIVERED] ?? []).map((text) => ({ email: text.trim() }))
  const addresses = [...(email.from ?? []), ...(email.to ?? []), ...(email.cc ?? []), ...delivered]
  const same = (one, other) => one.email.toLowerCase() === other.email.toLowerCase()
  const found = addresses.map((other) => identities.find((one) => same(one, other) && one.name === other.name) ?? identities.find((one) => same(one, other)))
  return found.find(Boolean)?.id
}

export async function answerTo(row, how, identities) {
  const [email, text] = await Promise.all([get(row.id), textOf(row.id)])
  const own = new Set(identities.map((one) => one.email.toLowerCase()))
  const mine = (one) => own.has(one.email.toLowerCase())
  const addressed = [...(email.to ?? []), ...(email.cc ?? [])]
  const identity = identityOf(email, identities)
  const from = email.from?.[0] ?? { name: "", email: "" }
  const ids = (email.messageId ?? []).filter(isId)
  const references = shortened([...(email.references ?? email.inReplyTo ?? []).filter(isId), ...ids])
  const common = { identity, inReplyTo: ids, references }
  if (how === "forward") return { ...common, inReplyTo: [], references: [], title: _("Forward"), forwards: row.id, subject: prefixed("Fwd", email.subject), text: forwarded(email, text), attachments: await ownOnes(attached(email, { pictures: true }), accountOf(row.id)) }
  const sender = mine(from) ? email.to ?? [] : email.replyTo?.length ? email.replyTo : [from]
  const others = how === "all" ? eachOnce(addressed).filter((one) => !mine(one) && !sender.some((to) => to.email.toLowerCase() === one.email.toLowerCase())) : []
  const quote = text.trimEnd().split("\n").map((line) => (line.startsWith(">") ? `>${line}` : `> ${line}`)).join("\n")
  return { ...common, title: _("Reply"), answers: row.id, to: sender, cc: others, subject: prefixed("Re", email.subject),
    text: `\n\n${_("%(name)s wrote on %(date)s:", { name: from.name || from.email, date: fullDate(email.receivedAt) })}\n${quote}\n` }
}

/** "Re: " once, whatever languages put there before. */
const prefixed = (prefix, subject) => `${prefix}: ${(subject ?? "").replace(/^((re|aw|sv|fwd?|wg|antw)(\[\d+\])?:\s*)+/i, "")}`

const forwardMark = () => `-------- ${_("Forwarded message")} --------`

function forwarded(email, text) {
  const list = (name) => (email[name] ?? []).map(addressText).join(", ")
  const lines = [[_("From"), list("from")], [_("To"), list("to")], [_("Cc"), list("cc")], [_("Date"), fullDate(email.receivedAt)], [_("Subject"), email.subject]]
  return `\n\n${forwardMark()}\n${lines.filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n${text}`
}

/** In which of these lines the original begins that an answer or a forward ends with; where there is none, their number. */
export function originalAt(lines) {
  const forward = lines.indexOf(forwardMark())
  if (forward >= 0) return forward
  let at = lines.length
  while (at > 0 && /^(>|\s*$)/.test(lines[at - 1])) at--
  const quote = lines.findIndex((line, place) => place >= at && line.startsWith(">"))
  if (quote < 0) return lines.length
  return quote === at && lines[at - 1]?.endsWith(":") ? at - 1 : quote
}

/** What goes with the text, photos between its paragraphs as well; `pictures`: also those of HTML, which a message written here may not have. */
function attached(email, { pictures = false } = {}) {
  const parts = [...email.attachments, ...email.htmlBody.filter((part) => !isText(part))].filter((part) => pictures || !isPicture(part))
  return [...new Map(parts.map((part) => [part.blobId, part])).values()].map(({ blobId, type, name, size }) => ({ blobId, type, name: name ?? "attachment", size }))
}

/** The same attachments as blobs of one's own account, for a message that another shares. */
async function ownOnes(parts, fromAccountId) {
  if (fromAccountId === boot.account || !parts.length) return parts
  const { copied } = await call("Blob/copy", { fromAccountId, blobIds: parts.map((part) => part.blobId) })
  return parts.filter((part) => copied?.[part.blobId]).map((part) => ({ ...part, blobId: copied[part.blobId] }))
}

/** A draft as it was left; HTML of other programs is opened as text. */
export async function draftOf(id, identities) {
  const email = await get(id, { fetchTextBodyValues: true, fetchHTMLBodyValues: true })
  const [html, plain] = [email.htmlBody[0], email.textBody[0]]
  const isWhole = email.textBody.length === 1 && plain.type === "text/plain" && !/format\s*=\s*"?flowed/i.test(plain[TYPE])
  const markup = email.htmlBody.length === 1 && html.type === "text/html" ? email.bodyValues[html.partId].value : ""
  const rich = Boolean(markup) && isSimple(markup)
  const text = isWhole ? email.bodyValues[plain.partId].value : await textOf(id)
  const pictures = rich ? email.attachments.filter(isPicture) : []
  return { title: _("Draft"), draft: id, identity: identityOf({ from: email.from }, identities), to: email.to ?? [], cc: email.cc ?? [], bcc: email.bcc ?? [], subject: email.subject ?? "", text, rich, html: rich ? markup : "", pictures,
    inReplyTo: email.inReplyTo ?? [], references: email.references ?? [], attachments: attached(email, { pictures: !rich }) }
}
