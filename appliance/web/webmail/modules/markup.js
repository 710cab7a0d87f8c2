/* Rich text as HTML and as plain text, between what is in the page and what is in a message.

It is read out of the page and put into it element by element, by the list below: HTML is written and parsed here only in the form that
is written here. */

import { boot } from "./dom.js"

const KEPT = { B: "b", STRONG: "b", I: "i", EM: "i", U: "u", UL: "ul", OL: "ol", LI: "li", BLOCKQUOTE: "blockquote", P: "div", DIV: "div", BR: "br", A: "a", IMG: "img" }
const BLOCKS = new Set(["ul", "ol", "li", "blockquote", "div"])
export const LINK = /^(https?:\/\/|mailto:)/i
/** For HTML, where spaces next to each other are one. */
export const spaced = (text) => text.replace(/\t/g, "    ").replace(/^ | (?= )/gm, "\u00a0")
const escaped = (text) => text.replace(/[&<>"]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[one])

/** Has HTML nothing that `fill` would leave out or tear apart? What is only style may go. */
export const isSimple = (html) => !/<(?!\/?(a|b|strong|i|em|u|ul|ol|li|blockquote|p|div|br|img|span|font)\b)|&(?!(amp|lt|gt|quot|nbsp|#\d+|#x[\da-f]+);)[a-z]+;/i.test(html)

/** Lines of plain text. */
export const linesMarkup = (lines) => lines.map((line) => `<div>${escaped(spaced(line)) || "<br>"}</div>`).join("")

/** HTML of what is in an element, of those in KEPT alone. */
export function markup(node) {
  return [...node.childNodes].map((one) => {
    if (one.nodeType === Node.TEXT_NODE) return escaped(one.data)
    const tag = KEPT[one.nodeName]
    if (!tag) return one.nodeType === Node.ELEMENT_NODE ? markup(one) : ""
    if (tag === "br") return "<br>"
    if (tag === "img") return one.dataset.cid ? `<img src="cid:${escaped(one.dataset.cid)}" alt="${escaped(one.alt)}">` : ""
    if (tag === "a") return LINK.test(one.getAttribute("href") ?? "") ? `<a href="${escaped(one.getAttribute("href"))}">${markup(one)}</a>` : markup(one)
    return `<${tag}>${markup(one)}</${tag}>`
  }).join("")
}

/** The same as plain text. */
export function plainText(node) {
  const isBlock = (one) => BLOCKS.has(KEPT[one?.nodeName])
  const textOf = (one, prefix) => {
    if (one.nodeType === Node.TEXT_NODE && isBlock(one.nextSibling) && !/[^ \t\r\n]/.test(one.data)) return ""
    if (one.nodeType === Node.TEXT_NODE) return one.data.replace(/[ \t\r\n]+/g, " ").replaceAll("\u00a0", " ")
    const tag = KEPT[one.nodeName]
    if (tag === "br") return "\n"
    if (tag === "ul" || tag === "ol") return [...one.children].map((item, at) => `${prefix}${tag === "ul" ? "-" : `${at + 1}.`} ${walk(item, `${prefix}  `).trim()}\n`).join("")
    if (tag === "blockquote") return `${walk(one, "").trimEnd().split("\n").map((line) => `> ${line}`).join("\n")}\n`
    if (tag === "a") { const [text, to] = [one.textContent, one.getAttribute("href")]; return !to || text === to || `mailto:${text}` === to ? text : `${text} <${to}>` }
    return BLOCKS.has(tag) ? `${walk(one, prefix).replace(/\n$/, "")}\n` : walk(one, prefix)
  }
  const walk = (parent, prefix) => {
    let begun = false
    return [...parent.childNodes].map((one) => {
      const text = textOf(one, prefix)
      const end = begun && isBlock(one) ? "\n" : ""  // a block begins a line of its own
      if (text.endsWith("\n")) begun = false
      else if (text.trim()) begun = true
      return end + text
    }).join("")
  }
  return walk(node, "").trimEnd()
}

const character = (code) => (code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "\ufffd")

/** Put HTML as `markup` writes it into an element: what is known, everything else as text. */
export function fill(area, html, pictures) {
  const named = { amp: "&", lt: "<", gt: ">", quot: '"', nbsp: "\u00a0" }
  const plain = (text) => text.replace(/&(?:(amp|lt|gt|quot|nbsp)|#(\d{1,7})|#x([\da-f]{1,6}));/gi, (_all, name, decimal, hex) => named[name?.toLowerCase()] ?? character(decimal ?? `0x${hex}`))
  const stack = [area]
  area.replaceChildren()
  for (const [, end, name, rest, text] of html.matchAll(/<(\/?)([a-z]+)([^<>]*)>|([^<]+)/gi)) {
    const top = stack.at(-1)
    if (text !== undefined) { top.append(plain(text)); continue }
    const tag = KEPT[name.toUpperCase()]
    if (!tag) continue
    if (end) { if (stack.length > 1 && stack.at(-1).localName === tag) stack.pop(); continue }
    const value = (attribute) => plain(rest.match(new RegExp(`\\s${attribute}\\s*=\\s*(["'])(.*?)\\1`, "is"))?.[2] ?? "")
    const element = document.createElement(tag)
    if (tag === "a" && LINK.test(value("href"))) element.href = value("href")
    if (tag === "img") {
      const found = pictures.find((one) => `cid:${one.cid}` === value("src"))
      if (!found) continue
      element.src = `/mail/preview/${boot.account}/${found.blobId}`
      element.dataset.cid = found.cid
      element.alt = value("alt")
    }
    top.append(element)
    if (tag !== "br" && tag !== "img" && stack.length < 50) stack.push(element)
  }
}
