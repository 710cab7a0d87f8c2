/* The signature of an identity (RFC 8621 §6) in what is written.

| message          | the signature stands                                   | above it |
|------------------|--------------------------------------------------------|----------|
| new              | at the end                                             | "-- "    |
| answer, forward  | below what one writes, above the original              |          |

"-- " says that nothing but the signature follows (RFC 3676 §4.3): programs fold it away and leave it out of answers, with all that comes
after it. So it does not stand above an original. Below the original, where a new message has it, nobody would see the signature.

A text is looked at as lines, a rich one as the text of each of its elements. The signature is found by what it says, also in a draft that
is opened again; what was changed by hand is not the identity's any more, and stays. */

import { originalAt } from "./answer.js"
import { h } from "./dom.js"
import { fill, isSimple, linesMarkup, markup, plainText } from "./markup.js"

const SEPARATOR = "-- "

/** `lines` of plain text, and for rich text the HTML of `elements`: what another program wrote as HTML, where the editor has all that is in
it, else the lines. */
export class Signature {
  constructor({ textSignature = "", htmlSignature = "" } = {}) {
    const html = isSimple(htmlSignature) && !/<img/i.test(htmlSignature) ? markup(unseparated(element(htmlSignature.replace(/>\s*\n\s*</g, "><")))) : ""
    const formatted = plainText(element(html))
    const text = (textSignature || formatted).replace(/\r\n?/g, "\n").replace(/^(\s*\n)?(-- ?\n)?/, "").trimEnd()
    this.lines = text ? text.split("\n") : []
    this.asLines = this.lines.map((line) => linesMarkup([line]))
    this.elements = formatted ? [`<div>${html}</div>`] : this.asLines
  }
}

/** Does the HTML say the same as the text? */
export function saysSame(html, text) {
  const words = (one) => one.replace(/\s+/g, "")
  return isSimple(html) && words(plainText(element(html))) === words(text)
}

function element(html) {
  const made = h("div")
  fill(made, html, [])
  return made
}

/** Without the separator that some programs write before it. */
function unseparated(node) {
  const first = [...node.childNodes].find((one) => !isBlank(lineOf(one)))
  const [line, ...more] = first ? lineOf(first).split("\n") : []
  if (line?.trimEnd() !== SEPARATOR.trimEnd()) return node
  if (more.length) unseparated(first)
  else {
    if (first.nextSibling?.nodeName === "BR") first.nextSibling.remove()
    first.remove()
  }
  return node
}

/** The text with another signature; null when the former was changed by hand. */
export function signText(text, former, next) {
  const lines = text.split("\n")
  const place = placeOf(lines, former.lines)
  if (!place) return null
  lines.splice(place.from, place.to - place.from, ...around(next.lines, place, "", SEPARATOR))
  return lines.join("\n")
}

/** The same in an area of rich text, with the HTML of elements; false when the former was changed by hand. */
export function signArea(area, former, next) {
  const nodes = [...area.childNodes]
  const place = placeOf(nodes.map(lineOf), former.map((html) => lineOf(element(html))))
  if (!place) return false
  const made = element(around(next, place, linesMarkup([""]), linesMarkup([SEPARATOR])).join(""))
  for (const one of nodes.slice(place.from, place.to)) one.remove()
  for (const one of [...made.childNodes]) area.insertBefore(one, nodes[place.to] ?? null)
  return true
}

const lineOf = (node) => plainText({ childNodes: [node] })
const isBlank = (line) => !line?.trim()

/** The signature with what sets it apart from the text. */
function around(lines, { isLast }, blank, separator) {
  if (!lines.length) return []
  return isLast ? [blank, separator, ...lines] : [...lines, blank]
}

/** Where a signature stands with what sets it apart, or where one goes when there is none: from one line to before another. `isLast`:
nothing follows. */
function placeOf(lines, signature) {
  if (!signature.length) {
    const at = originalAt(lines)
    return { from: at, to: at, isLast: at === lines.length }
  }
  let from = lastPlace(lines, signature)
  if (from < 0) return null
  let to = from + signature.length
  const isLast = lines.slice(to).every(isBlank)
  if (lines[from - 1]?.trimEnd() === SEPARATOR.trimEnd()) from--
  if (isLast && from > 0 && isBlank(lines[from - 1])) from--
  if (!isLast && to < lines.length && isBlank(lines[to])) to++
  return { from, to, isLast }
}

function lastPlace(lines, some) {
  for (let at = lines.length - some.length; at >= 0; at--)
    if (some.every((line, by) => line.trimEnd() === lines[at + by].trimEnd())) return at
  return -1
}
