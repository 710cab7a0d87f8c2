/* A form in a dialog, which stays open with what was typed until its work is done.

| what happens                     | the dialog                                                          |
|----------------------------------|---------------------------------------------------------------------|
| sent, the work is done           | closes                                                              |
| sent, the work throws a Refusal  | stays; the sentence stands at the field, which has the focus        |
| sent, the work fails otherwise   | stays; says why above the buttons                                   |
| closed after a change            | asks whether that may be lost; for the page itself the browser asks | */

import { $, _, ask, focusFirst, h } from "./dom.js"

const NAME_CHARACTERS = 100

/** What is to be mended before the work can be done; `input`: the field, if it is about one. */
export class Refusal extends Error {
  constructor(sentence, input = null) {
    super(sentence)
    this.input = input
  }
}

/** A field with its label, a hint, and a place for what is wrong with it. */
export function field(label, input, hint = "") {
  const [hintId, faultId] = [`${input.id}-hint`, `${input.id}-fault`]
  input.setAttribute("aria-describedby", hint ? `${faultId} ${hintId}` : faultId)
  input.addEventListener("input", () => mark(input, ""))
  return h("div", {}, h("label", { htmlFor: input.id }, label), input,
    h("p", { id: faultId, className: "fault", hidden: true }), hint && h("p", { id: hintId, className: "hint" }, hint))
}

/** What is wrong with a name of whatever kind, in words; "" for nothing. */
export function faultInName(name) {
  if (name.length > NAME_CHARACTERS) return _("A name has at most %(number)s characters.", { number: NAME_CHARACTERS })
  return /[\0-\x1f\x7f-\x9f\u2028\u2029]/.test(name) ? _("A name has no tabs or line breaks in it.") : ""
}

/** Say what is wrong with a field, "" for nothing; one that is folded away is shown. */
export function mark(input, sentence) {
  const fault = $(`${input.id}-fault`), folded = input.closest("details")
  if (sentence && folded) folded.open = true
  fault.textContent = sentence
  fault.hidden = !sentence
  if (sentence) input.setAttribute("aria-invalid", "true")
  else input.removeAttribute("aria-invalid")
}

/** Shows the form; resolves to what its work comes to, null when it was closed. `isChanged`: would something be lost by closing? */
export function openForm({ title, body, label, work, isChanged = () => false }) {
  const fault = h("p", { className: "fault", role: "alert", hidden: true })
  let result = null

  const refuse = (reason, before) => {
    const { input } = reason
    fault.textContent = reason instanceof Refusal ? reason.message : _("That did not work: %(why)s", { why: reason.message })
    fault.hidden = Boolean(input)
    if (input) mark(input, reason.message)
    focusFirst(input, before)
  }
  const send = async (event) => {
    event.preventDefault()
    const before = document.activeElement
    fault.hidden = true
    form.inert = true
    try {
      result = await work()
    } catch (reason) {
      form.inert = false
      return refuse(reason, before)
    }
    dialog.close()
  }
  const leave = async (event) => {
    event.preventDefault()
    if (form.inert) return
    const question = () => ask(_("Throw away what you changed?"), null, [["yes", _("Throw away"), "danger"]], _("Go on editing"))
    if (!isChanged() || (await question()) === "yes") dialog.close()
  }

  const buttons = [h("button", {}, label), h("button", { type: "button", className: "quiet", onclick: leave }, _("Cancel"))]
  const form = h("form", { noValidate: true, onsubmit: send }, h("h2", { id: "form-title" }, title), body, fault, h("p", { className: "buttons" }, buttons))
  // a second Escape would close the dialog whatever is done with its `cancel`
  const escape = (event) => { if (event.key === "Escape" && !event.isComposing) leave(event) }
  const dialog = h("dialog", { "aria-labelledby": "form-title", onkeydown: escape, oncancel: leave }, form)
  const stay = (event) => { if (isChanged()) event.preventDefault() }
  addEventListener("beforeunload", stay)
  document.body.append(dialog)
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      removeEventListener("beforeunload", stay)
      dialog.remove()
      resolve(result)
    })
  })
}
