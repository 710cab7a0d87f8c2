/* A calendar part in words: what it asks or answers (the methods of RFC 5546 §1.4), when, where and by whom.

| method                | says                                                              |
|-----------------------|-------------------------------------------------------------------|
| REQUEST               | an invitation; one that was changed since it was first sent         |
| CANCEL                | called off, as is whatever has that status                          |
| REPLY                 | who comes, who does not                                             |
| COUNTER, REFRESH      | what an invited person asks for                                     |
| DECLINECOUNTER, ADD   | what the one who invites says to that; more dates of a series       |
| PUBLISH, none, others | an event: nobody is invited                                         |

Who answers is whom the calendar names, else who sent the message. Instants are told in the reader's own zone. */

import { _, counted, h, lang, nameOf, plain } from "./dom.js"

const MOST_DATES = 5
/** What goes to the one who invites, who need not be told who that is. */
const TO_ORGANIZER = ["REPLY", "COUNTER", "REFRESH"]

/** `found`: as `read_invitation` of invitation.py has it. */
export function invitationWords(found, from) {
  const lines = [
    found.start && (found.task ? _("Until: %(when)s", { when: when(found) }) : when(found)),
    series(found),
    found.location && _("Where: %(place)s", { place: plain(found.location) }),
    found.organizer && !TO_ORGANIZER.includes(found.method) && _("From: %(name)s", { name: nameOf(found.organizer) }),
    found.more && counted("There is %(number)s more event in the attached calendar.", "There are %(number)s more events in the attached calendar.", found.more),
  ]
  return [h("strong", {}, title(found, from)), ...lines.filter(Boolean).map((text) => h("p", {}, text))]
}

function title(found, from) {
  const what = plain(found.summary) || (found.task ? _("a task") : _("an event"))
  const who = nameOf(found.attendee ?? from)
  switch (found.method) {
    case "REPLY": return reply(found.attendee, who, what)
    case "COUNTER": return _("%(who)s proposes another time: %(what)s", { who, what })
    case "REFRESH": return _("%(who)s asks for the invitation once more: %(what)s", { who, what })
    case "DECLINECOUNTER": return _("The proposed time does not suit: %(what)s", { what })
  }
  if (found.cancelled) return _("Called off: %(what)s", { what })
  if (found.method === "ADD") return _("More dates: %(what)s", { what })
  if (found.task) return _("Task: %(what)s", { what })
  if (found.method !== "REQUEST") return _("Event: %(what)s", { what })
  return found.changed ? _("Changed invitation: %(what)s", { what }) : _("Invitation: %(what)s", { what })
}

function reply(attendee, who, what) {
  switch (attendee?.answer) {
    case "ACCEPTED": return _("%(who)s accepts: %(what)s", { who, what })
    case "DECLINED": return _("%(who)s declines: %(what)s", { who, what })
    case "TENTATIVE": return _("%(who)s accepts tentatively: %(what)s", { who, what })
    case "COMPLETED": return _("%(who)s has done it: %(what)s", { who, what })
    case "DELEGATED": return attendee.delegate
      ? _("%(who)s asks %(other)s to go instead: %(what)s", { who, other: nameOf(attendee.delegate), what })
      : _("%(who)s asks somebody else to go instead: %(what)s", { who, what })
  }
  return _("%(who)s answers: %(what)s", { who, what })
}

/** Which dates of a series it is about, or which differ from the others. */
function series({ ofSeries, following, repeats, dates }) {
  const listed = [...dates.slice(0, MOST_DATES).map(dayOf), ...(dates.length > MOST_DATES ? ["…"] : [])].join("; ")
  if (following) return _("About all dates of a series from this one on: %(date)s", { date: listed })
  if (ofSeries) return dates.length > 1 ? _("About some dates of a series: %(dates)s", { dates: listed }) : _("About one date of a series: %(date)s", { date: listed })
  return [repeats && _("It repeats."), listed && _("These dates differ: %(dates)s", { dates: listed })].filter(Boolean).join(" ")
}

const isDay = (text) => text.length === "2026-12-24".length
const at = (text) => new Date(isDay(text) ? `${text}T12:00` : text)
const formats = (options) => new Intl.DateTimeFormat(lang, options)
const dayOf = (text) => formats({ dateStyle: "long" }).format(at(text))

/** With the zone where its clock is not known: then it is the time there. */
function when({ start, end, zone }) {
  const format = formats(isDay(start) ? { dateStyle: "full" } : { dateStyle: "full", timeStyle: "short" })
  const span = end ? format.formatRange(at(start), at(end)) : format.format(at(start))
  return zone ? `${span} (${zone})` : span
}
