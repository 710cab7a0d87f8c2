/* Names and signatures: the identities of the account (RFC 8621 §6), changed, added and removed in one form.

| what is saved        | how                                                                                                     |
|----------------------|---------------------------------------------------------------------------------------------------------|
| a changed field      | by itself: of two tabs or programs that change the same identity the last one has its way, in that field |
| a changed signature  | what another program wrote as HTML goes, unless it says the same: rich text would still be signed with it |
| one that was removed | with all the rest; until then it is there                                                               |

Who has one address sees one form; who has several chooses among them first. */

import { attempt } from "./actions.js"
import { _, boot, focusFirst, h, say } from "./dom.js"
import { Refusal, faultInName, field, openForm } from "./forms.js"
import { addressesIn, faultIn, textOf } from "./recipients.js"
import { labelOf, readIdentities, setIdentities } from "./sender.js"
import { Signature, saysSame } from "./signature.js"

/** In Reply-To and Bcc, as the server has it. */
const MOST_ADDRESSES = 50
const NEW = { id: "", email: boot.address, name: "", textSignature: "", htmlSignature: "", replyTo: null, bcc: null, mayDelete: true }

export async function showIdentities() {
  const list = await attempt(readIdentities)
  if (list) await new Identities(list).open()
}

class Identities {
  constructor(list) {
    this.parts = []
    this.made = 0
    this.removed = []
    this.choices = h("fieldset", {}, h("legend", {}, _("Your addresses")))
    this.only = h("p", { className: "dim long" }, boot.address)
    this.own = h("datalist", { id: "own-addresses" }, list.filter((one) => !one.mayDelete).map(({ email }) => h("option", { value: email })))
    this.shown = h("div", {})
    for (const one of list) this.append(one)
    this.choose(this.parts[0])
  }

  async open() {
    const add = h("button", { type: "button", className: "quiet small", onclick: () => this.add() }, _("Add a name or address"))
    const body = h("div", { className: "identities" }, this.only, this.choices, this.shown, h("p", {}, add), this.own)
    const isChanged = () => this.removed.length > 0 || this.parts.some((one) => one.isChanged())
    const isSaved = await openForm({ title: _("Names and signatures"), body, label: _("Save"), work: () => this.save(), isChanged })
    if (isSaved) say(_("Saved."))
  }

  append(one) {
    const part = new Part(one, this.made++, { choose: () => this.choose(part), remove: () => this.remove(part) })
    this.parts.push(part)
    this.choices.append(part.choice)
    return part
  }

  choose(part) {
    part.radio.checked = true
    this.shown.replaceChildren(part.element)
    this.choices.hidden = this.parts.length < 2
    this.only.hidden = !this.choices.hidden
  }

  add() {
    const part = this.append(NEW)
    this.choose(part)
    part.inputs.email.focus()
    part.inputs.email.select()
  }

  remove(part) {
    if (part.one.id) this.removed.push(part.one.id)
    this.parts = this.parts.filter((one) => one !== part)
    part.choice.remove()
    const [first] = this.parts
    this.choose(first)
    focusFirst(first.radio, first.inputs.name)
  }

  /** True: all of it is saved. */
  async save() {
    for (const part of this.parts) this.expect(part, part.fault())
    const changed = this.parts.map((part) => [part, part.change()]).filter(([, change]) => Object.keys(change).length)
    if (!changed.length && !this.removed.length) return true
    const [create, update] = [{}, {}]
    for (const [part, change] of changed) (part.one.id ? update : create)[part.key] = change
    const done = await setIdentities({ create, update, destroy: this.removed })
    const refused = { ...done.notCreated, ...done.notUpdated }
    this.removed = this.removed.filter((id) => (done.notDestroyed?.[id]?.type ?? "notFound") !== "notFound")
    const failed = changed.filter(([part]) => refused[part.key])
    for (const [part, change] of changed) if (!refused[part.key]) part.keep(change, done.created?.[part.key])
    for (const [part] of failed) this.expect(part, part.refusal(refused[part.key]))
    if (this.removed.length) throw new Refusal(_("The server keeps what you took out."))
    return true
  }

  /** `fault`: a sentence and the field it is about. */
  expect(part, fault) {
    if (!fault) return
    this.choose(part)
    throw new Refusal(...fault)
  }
}

/** One identity in the form: the fields, and the choice that shows them. */
class Part {
  /** `number` tells the fields from those of others. */
  constructor(one, number, { choose, remove }) {
    const input = (name, value, more = {}) => h("input", { id: `identity-${number}-${name}`, value, autocomplete: "off", ...more })
    this.one = one
    this.number = number
    this.inputs = {
      ...(one.id ? {} : { email: input("email", one.email, { inputMode: "email", oninput: () => this.draw() }) }),
      name: input("name", one.name, { autocomplete: "name", oninput: () => this.draw() }),
      textSignature: h("textarea", { id: `identity-${number}-signature`, rows: 4, value: new Signature(one).lines.join("\n") }),
      replyTo: input("reply-to", textOf(one.replyTo ?? []), { inputMode: "email" }),
      bcc: input("bcc", textOf(one.bcc ?? []), { inputMode: "email" }),
    }
    this.radio = h("input", { type: "radio", name: "identity", onchange: choose })
    this.label = h("span", { className: "long" })
    this.choice = h("label", { className: "choice" }, this.radio, this.label)
    this.element = this.fields(remove)
    this.before = this.read()
    this.draw()
  }

  fields(remove) {
    const { email, name, textSignature, replyTo, bcc } = this.inputs
    email?.setAttribute("list", "own-addresses")
    return h("div", {},
      email && field(_("Address"), email, _("One of yours, or another one whose mail comes to you.")),
      field(_("Name"), name, _("Who gets a message sees it before your address.")),
      field(_("Signature"), textSignature, _("It stands below what you write.")),
      h("details", { open: Boolean(replyTo.value || bcc.value) }, h("summary", {}, _("Replies and copies")),
        field(_("Replies go to"), replyTo, _("Only if not to the address itself.")),
        field(_("A copy of each message goes to (Bcc)"), bcc, _("Nobody else sees that."))),
      this.one.mayDelete && h("p", {}, h("button", { type: "button", className: "danger small", onclick: remove }, _("Remove this one"))))
  }

  /** Of the request that saves it. */
  get key() { return this.one.id || `made${this.number}` }

  draw() {
    const { name, email } = this.read()
    this.label.textContent = labelOf({ name, email })
  }

  /** What was typed; a signature without the control characters that no text has. */
  read() {
    const values = Object.fromEntries(Object.entries(this.inputs).map(([name, { value }]) => [name, value.trim()]))
    const textSignature = this.inputs.textSignature.value.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, "").trimEnd()
    return { email: this.one.email, ...values, textSignature }
  }

  isChanged() {
    const now = this.read()
    return Object.keys(now).some((name) => now[name] !== this.before[name])
  }

  /** Members of the identity that are others now; of one that is to be made, all. */
  change() {
    const now = this.read()
    const lists = { replyTo: listOf(now.replyTo), bcc: listOf(now.bcc) }
    const changed = Object.keys(now).filter((name) => !this.one.id || now[name] !== this.before[name])
    const change = Object.fromEntries(changed.map((name) => [name, name in lists ? lists[name] : now[name]]))
    const { htmlSignature } = this.one
    if ("textSignature" in change && htmlSignature && !saysSame(htmlSignature, now.textSignature)) change.htmlSignature = ""
    return change
  }

  /** It is as the server has it. */
  keep(change, made) {
    this.one = { ...this.one, ...change, ...made }
    if (this.inputs.email) this.inputs.email.readOnly = true
    this.before = this.read()
  }

  /** What is wrong with what was typed. */
  fault() {
    const { inputs } = this
    const { email, name, replyTo, bcc } = this.read()
    if (inputs.email && (faultIn(email) || addressesIn(email).length !== 1)) return [_("Write one e-mail address."), inputs.email]
    if (faultInName(name)) return [faultInName(name), inputs.name]
    for (const [text, input] of [[replyTo, inputs.replyTo], [bcc, inputs.bcc]]) {
      if (faultIn(text)) return [faultIn(text), input]
      if (addressesIn(text).length > MOST_ADDRESSES) return [_("At most %(number)s addresses can stand here.", { number: MOST_ADDRESSES }), input]
    }
    return null
  }

  /** What the server refused, in the page's language. */
  refusal({ type, properties, description }) {
    const { inputs } = this
    const input = inputs[properties?.[0]]
    if (type === "forbiddenFrom") return [_("Mail to this address does not come to you, so you cannot write as it."), inputs.email]
    if (type === "tooLarge") return [_("The signature is too long."), inputs.textSignature]
    if (type === "overQuota") return [_("There are as many as the server keeps. Remove one first.")]
    if (type === "notFound") {
      this.one = { ...this.one, id: "" }
      return [_("It was removed elsewhere. Save once more to have it again.")]
    }
    return input ? [_("The server does not take this."), input] : [_("That did not work: %(why)s", { why: description ?? type })]
  }
}

function listOf(text) {
  const found = addressesIn(text).map(({ name, email }) => ({ name: name || null, email }))
  return found.length ? found : null
}
