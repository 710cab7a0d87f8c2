/* What is to be said of a message above its text: images left out, an invitation, what the sender's authentication came to. */

import { _, counted, h, icon, lang } from "./dom.js"
import { fields, send } from "./jmap.js"

export function factLines(facts, from, showImages) {
  return [authentication(facts.authentication, from), remote(facts, from, showImages), invitation(facts.invitation),
    facts.cut && line("note", _("This message is very long; the rest of it is in its source."))].filter(Boolean)
}

const line = (kind, ...children) => h("div", { className: `fact ${kind}` }, ...children)

function remote({ remote: number, chosen }, from, show) {
  const always = async (wanted) => {
    await send("/mail/images-from", { method: "POST", headers: { "content-type": "application/json", ...fields }, body: JSON.stringify({ sender: from.email, show: wanted }) })
    show(wanted)
  }
  const button = (label, onclick) => h("button", { type: "button", className: "quiet", onclick }, label)
  if (chosen) return line("dim", icon("image"), h("p", {}, _("Images of %(address)s are always shown.", { address: from.email })), button(_("Ask again"), () => always(false)))
  if (!number) return null
  return line("images", icon("image"),
    h("p", {}, counted("%(number)s image is not shown, since it would be fetched from elsewhere.", "%(number)s images are not shown, since they would be fetched from elsewhere.", number), " ",
      h("span", { className: "dim" }, _("Shown, the sender learns that the message was opened and this server’s address, but not which device you use or where you are."))),
    h("div", { className: "buttons" }, button(_("Show images"), () => show(true)), button(_("Always from %(address)s", { address: from.email }), () => always(true))))
}

function authentication(found, from) {
  const domain = from.email?.split("@").at(-1) ?? ""
  const [result, of] = found.dmarc ?? found.dkim ?? found.spf ?? []
  if (!result) return null
  if (result === "pass") return found.dmarc || of === domain ? null : line("dim", icon("info"), h("p", {}, _("Sent on behalf of %(domain)s by %(by)s.", { domain, by: of })))
  if (result === "fail" && found.dmarc)
    return line("bad", icon("warn"), h("p", {}, _("This message is probably not from %(domain)s: that domain says so. Do not trust links and attachments in it.", { domain })))
  return line("dim", icon("info"), h("p", {}, _("It could not be confirmed that this message is from %(domain)s.", { domain })))
}

function invitation(found) {
  if (!found) return null
  const what = found.summary || _("an event")
  const title = found.cancelled ? _("Called off: %(what)s", { what }) : found.method === "REQUEST" ? _("Invitation: %(what)s", { what }) : _("Event: %(what)s", { what })
  const more = [found.location && _("Where: %(place)s", { place: found.location }), found.organizer && _("From: %(name)s", { name: found.organizer }), found.repeats && _("It repeats.")]
  return line("invitation", icon("calendar"), h("div", {}, h("strong", {}, title), h("p", {}, when(found)), more.filter(Boolean).map((text) => h("p", {}, text))))
}

/** The instants as the invitation has them, with their zone where it is another than the reader's. */
function when({ start, end, zone, allDay }) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone
  const at = (text) => new Date(zone === "UTC" ? `${text}Z` : text)
  const day = new Intl.DateTimeFormat(lang, { dateStyle: "full" })
  const both = new Intl.DateTimeFormat(lang, { dateStyle: "full", timeStyle: "short" })
  if (allDay) return day.format(new Date(`${start}T12:00`))
  const from = at(start), to = end && at(end)
  const span = to ? both.formatRange(from, to) : both.format(from)
  return zone && zone !== "UTC" && zone !== own ? `${span} (${zone})` : span
}
