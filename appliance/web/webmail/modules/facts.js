/* What is to be said of a message above its text: images left out, an invitation, what the sender's authentication came to. */

import { _, counted, h, icon, plain } from "./dom.js"
import { fields, send } from "./jmap.js"

export function factLines(facts, from, showImages) {
  return [facts.warned ? forged() : authentication(facts.authentication, from), remote(facts, from, showImages), invitation(facts.invitation, from),
    facts.cut && line("note", _("This message is very long; the rest of it is in its source."))].filter(Boolean)
}

const line = (kind, ...children) => h("div", { className: `fact ${kind}` }, ...children)

function remote({ remote: number, chosen }, from, show) {
  const always = async (wanted) => {
    await send("/mail/images-from", { method: "POST", headers: { "content-type": "application/json", ...fields }, body: JSON.stringify({ sender: from.email, show: wanted }) })
    show(wanted)
  }
  const button = (label, onclick, title = null) => h("button", { type: "button", className: "quiet small", title, onclick }, label)
  if (chosen) return line("dim", icon("image"), h("p", {}, _("Images of %(address)s are always shown.", { address: from.email })), button(_("Ask again"), () => always(false)))
  if (!number) return null
  return line("images", icon("image"),
    h("p", {}, counted("%(number)s image from elsewhere is not shown.", "%(number)s images from elsewhere are not shown.", number), " ",
      h("span", { className: "dim" }, _("Shown, the sender learns that the message was opened and this server’s address, but not which device you use or where you are."))),
    h("div", { className: "buttons" }, button(_("Show images"), () => show(true)), from.email.includes("@") && button(_("Always from this sender"), () => always(true), plain(from.email))))
}

/** The server's own warning is the better word: other results are about domains, this one is about its accounts. */
const forged = () => line("bad", icon("warn"), h("p", {},
  _("This message names a sender of this server, but nobody signed in here to send it. Do not trust it, unless a mailing list sent it back to you.")))

/** What passed is said only where it is another domain's word: nobody needs to be told that all is well. */
function authentication({ dmarc, dkim, spf }, from) {
  const domain = from.email?.split("@").at(-1) ?? ""
  if (dmarc?.[0] === "pass" || !(dmarc || dkim || spf)) return null
  if (dmarc?.[0] === "fail" && dmarc[2] !== "none")
    return line("bad", icon("warn"), h("p", {}, _("This message is probably not from %(domain)s: that domain says so. Do not trust links and attachments in it.", { domain })))
  const passed = [dkim, spf].flatMap((one) => (one?.[0] === "pass" ? one.slice(1) : []))
  if (passed.some((by) => by === domain || domain.endsWith(`.${by}`))) return null
  const words = passed.length ? _("Sent on behalf of %(domain)s by %(by)s.", { domain, by: passed[0] }) : _("It could not be confirmed that this message is from %(domain)s.", { domain })
  return line("dim", icon("info"), h("p", {}, words))
}

/** Its words are a module of their own: few messages have one. */
function invitation(found, from) {
  if (!found) return null
  const words = h("div")
  import("./invitation.js").then((module) => words.append(...module.invitationWords(found, from)),
    () => words.append(h("p", {}, _("What this invitation says could not be read. It is in the attached calendar."))))
  return line("invitation", icon("calendar"), words)
}
