/* Plain text as format=flowed (RFC 3676 §4): readers fit the lines to their screen, others see lines of at most WIDTH.

| line                                 | becomes                                                                        |
|--------------------------------------|--------------------------------------------------------------------------------|
| longer than WIDTH                    | several: each but the last ends with a space, which says that the next goes on |
| quoted (">>text")                    | the same with the marks before each                                            |
| begins with a space, ">" or "From "  | a space before it ("space-stuffing")                                           |
| ends with spaces                     | without them, but for the signature's separator "-- "                          | */

const WIDTH = 72
/** A longer text is sent as it is. */
const MOST = 50_000

export const flows = (text) => text.length <= MOST

export const encodeFlowed = (text) => text.split("\n").flatMap(lines).join("\n")

function lines(line) {
  const marks = line.match(/^>*/)[0]
  const words = marks ? line.slice(marks.length).replace(/^ /, "") : line
  const text = words === "-- " ? words : words.trimEnd()
  const stuffed = (one) => (marks ? `${marks} ${one}` : /^( |>|From )/.test(one) ? ` ${one}` : one)
  return broken(text, Math.max(20, WIDTH - marks.length)).map(stuffed)
}

/** Broken behind spaces; a word that is too long stays whole, and no line becomes a signature's separator. */
function broken(text, width) {
  const found = []
  let rest = text
  while (rest.length > width) {
    let at = rest.lastIndexOf(" ", width - 1)
    if (at < 0 || rest.slice(0, at + 1) === "-- ") at = rest.indexOf(" ", Math.max(width, 3))
    if (at < 0) break
    found.push(rest.slice(0, at + 1))
    rest = rest.slice(at + 1)
  }
  return [...found, rest]
}
