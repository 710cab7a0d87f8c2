/* The list of mailboxes with their counts; messages can be dropped on one.

Counts change at any moment, also while somebody clicks: the elements of a mailbox stay, their texts change. */

import { $, counted, focusFirst, h, icon, put } from "./dom.js"
import { changes, listed, mailboxName, mailboxes, shared } from "./mail.js"
import { isTarget, moveTo, sharedBy } from "./actions.js"

const ICONS = { inbox: "inbox", drafts: "draft", sent: "sent", archive: "archive", junk: "junk", trash: "trash", scheduled: "clock" }
export const DRAGGED = "application/x-pillarbox"

/** `current` tells which mailbox is shown, `dragged` which rows are being dragged. */
export function showFolders(current, dragged) {
  const entries = new Map(), groups = new Map()
  const kept = (known, key, make) => known.get(key) ?? known.set(key, make()).get(key)
  const items = (account) => listed(account).map((row) => {
    const one = kept(entries, row.mailbox.id, () => h("li", {}, linkTo(row.mailbox.id, dragged)))
    fill(one.firstChild, row, current())
    return one
  })
  const group = ([account, { name }]) => {
    const one = kept(groups, account, () => h("li", {}, h("h2"), h("ul")))
    one.firstChild.textContent = sharedBy(name)
    put(one.lastChild, items(account))
    return one
  }
  const draw = () => {
    const focused = document.activeElement?.dataset?.mailbox
    put($("folder-list"), [...items(), ...[...shared].map(group)])
    if (focused && document.activeElement?.dataset?.mailbox !== focused) focusFirst(document.querySelector(`[data-mailbox="${focused}"]`), $("list"))
  }
  changes.addEventListener("mailboxes", draw)
  draw()
  return draw
}

function linkTo(id, dragged) {
  const link = h("a", { href: `#${id}`, "data-mailbox": id }, icon("folder"), h("span", { className: "name" }))
  link.ondragover = (event) => {
    if (!event.dataTransfer.types.includes(DRAGGED) || !mailboxes.has(id) || !isTarget(mailboxes.get(id))) return
    event.preventDefault()
    event.dataTransfer.dropEffect = "move"
    link.classList.add("target")
  }
  link.ondragleave = () => link.classList.remove("target")
  link.ondrop = (event) => {
    event.preventDefault()
    link.classList.remove("target")
    moveTo(dragged(), id)
  }
  return link
}

function fill(link, { mailbox, depth }, current) {
  const number = mailbox.role === "drafts" ? mailbox.totalEmails : mailbox.role === "trash" ? 0 : mailbox.unreadThreads
  const label = mailbox.role === "drafts" ? counted("%(number)s draft", "%(number)s drafts", number)
    : counted("%(number)s unread", "%(number)s unread", number)
  if (mailbox.id === current) link.setAttribute("aria-current", "page")
  else link.removeAttribute("aria-current")
  link.className = depth ? `depth-${Math.min(depth, 4)}` : ""
  const [sign, name, count = h("span", { className: "count" }, h("span", { "aria-hidden": "true" }), h("span", { className: "away" }))] = link.children
  sign.firstChild.setAttribute("href", `#i-${ICONS[mailbox.role] ?? "folder"}`)
  name.textContent = mailboxName(mailbox)
  count.title = label
  count.firstChild.textContent = number > 9999 ? "9999+" : String(number)
  count.lastChild.textContent = label
  put(link, [sign, name, ...(number ? [count] : [])])
}
