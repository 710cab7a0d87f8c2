/* The list of mailboxes with their counts; messages can be dropped on one. */

import { $, counted, focusFirst, h, icon } from "./dom.js"
import { changes, listed, mailboxName, shared } from "./mail.js"
import { isTarget, moveTo, sharedBy } from "./actions.js"

const ICONS = { inbox: "inbox", drafts: "draft", sent: "sent", archive: "archive", junk: "junk", trash: "trash", scheduled: "clock" }
export const DRAGGED = "application/x-pillarbox"

/** `current` tells which mailbox is shown, `dragged` which rows are being dragged. */
export function showFolders(current, dragged) {
  const draw = () => {
    const focused = document.activeElement?.dataset?.mailbox
    const items = (account) => listed(account).map((row) => item(row, current(), dragged))
    const others = [...shared].map(([account, { name }]) => h("li", {}, h("h2", {}, sharedBy(name)), h("ul", {}, items(account))))
    $("folder-list").replaceChildren(...items(), ...others)
    if (focused) focusFirst(document.querySelector(`[data-mailbox="${focused}"]`), $("list"))
  }
  changes.addEventListener("mailboxes", draw)
  draw()
  return draw
}

function item({ mailbox, depth }, current, dragged) {
  const number = mailbox.role === "drafts" ? mailbox.totalEmails : mailbox.role === "trash" ? 0 : mailbox.unreadThreads
  const label = mailbox.role === "drafts" ? counted("%(number)s draft", "%(number)s drafts", number)
    : counted("%(number)s unread", "%(number)s unread", number)
  const link = h("a", { href: `#${mailbox.id}`, "data-mailbox": mailbox.id, "aria-current": mailbox.id === current ? "page" : null },
    icon(ICONS[mailbox.role] ?? "folder"),
    h("span", { className: "name" }, mailboxName(mailbox)),
    number ? h("span", { className: "count", title: label }, h("span", { "aria-hidden": "true" }, number > 9999 ? "9999+" : String(number)), h("span", { className: "away" }, label)) : null)
  if (depth) link.classList.add(`depth-${Math.min(depth, 4)}`)
  link.ondragover = (event) => {
    if (!event.dataTransfer.types.includes(DRAGGED) || !isTarget(mailbox)) return
    event.preventDefault()
    event.dataTransfer.dropEffect = "move"
    link.classList.add("target")
  }
  link.ondragleave = () => link.classList.remove("target")
  link.ondrop = (event) => {
    event.preventDefault()
    link.classList.remove("target")
    moveTo(dragged(), mailbox.id)
  }
  return h("li", {}, link)
}
