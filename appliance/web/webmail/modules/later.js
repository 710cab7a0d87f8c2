/* When a message that is sent later is sent: one of a few usual instants, or any other. */

import { _, counted, fullDate, h } from "./dom.js"
import { Refusal, field, openForm } from "./forms.js"

const MORNING = 8
const EVENING = 18
const DAY_S = 86400

/** Names and instants; that of today as long as it is an hour away. */
function usual(now) {
  const at = (days, hour) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour)
  const untilMonday = (8 - now.getDay()) % 7 || 7
  return [
    now < at(0, EVENING - 1) && [_("This evening"), at(0, EVENING)],
    [_("Tomorrow morning"), at(1, MORNING)],
    [_("Tomorrow evening"), at(1, EVENING)],
    untilMonday > 1 && [_("Monday morning"), at(untilMonday, MORNING)],
  ].filter(Boolean)
}

/** Resolves to null when none was chosen. `latestS`: so many seconds from now at most. */
export function chooseInstant(latestS) {
  const now = new Date()
  const known = usual(now).filter(([, at]) => at - now <= latestS * 1000)
  const radio = () => h("input", { type: "radio", name: "later" })
  const radios = known.map(radio), other = radio()
  const input = h("input", { id: "later", type: "datetime-local", value: local(nextHour(now)), oninput: () => { other.checked = true } })
  const choice = (button, ...words) => h("label", { className: "choice" }, button, h("span", {}, words))
  const body = h("fieldset", {}, h("legend", {}, _("When?")),
    known.map(([name, at], place) => choice(radios[place], name, h("span", { className: "dim" }, ` · ${fullDate(at)}`))),
    choice(other, _("At another time")), field(_("Date and time"), input));
  [...radios, other][0].checked = true

  const work = () => {
    const place = radios.findIndex((one) => one.checked)
    const until = place < 0 ? new Date(input.value) : known[place][1]
    if (Number.isNaN(until.getTime())) throw new Refusal(_("Choose a date and a time."), input)
    if (until <= new Date()) throw new Refusal(_("That instant is over."), input)
    if (until - Date.now() > latestS * 1000) throw new Refusal(counted("A message waits for %(number)s day at most.", "A message waits for %(number)s days at most.", Math.floor(latestS / DAY_S)), input)
    return until
  }
  return openForm({ title: _("Send later"), body, label: _("Send then"), work })
}

const nextHour = (now) => new Date(now.getFullYear(), now.getMonth(), now.getDate(), now.getHours() + 1)

/** As a field for a local date and time has it. */
const local = (at) => new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
