/* Notifications of new mail on this device: asked for here, pushed by the server through the push service of the browser's maker, shown
by the service worker (Push API, RFC 8620 §7.2).

What is shown comes with the push, encrypted for this browser: so it also works where the server cannot be reached, and the worker keeps
nothing. The browser keeps one word for each address: `plain` (new mail, no more) or `named` (sender and subject).

| step                                                       | where                                                        |
|------------------------------------------------------------|--------------------------------------------------------------|
| the browser makes a subscription for the server's key      | `subscribe`                                                  |
| the server pushes a code; the worker passes it to the page | `codes`                                                      |
| the page gives it back, and new mail is pushed             | until the session ends, which `renew` makes good when it is there again | */

import { _, ask, boot, h, say } from "./dom.js"
import { call } from "./jmap.js"
import { byRole } from "./mail.js"

const KEY = boot.capabilities["urn:ietf:params:jmap:webpush-vapid"]?.applicationServerKey
const KEPT = `notifications ${boot.address}`
const CODE_MS = 60_000
const NONE = { accountId: undefined }

const codes = new Map()
const came = new EventTarget()
navigator.serviceWorker?.addEventListener("message", ({ data }) => {
  if (!data.code) return
  codes.set(data.id, data.code)
  came.dispatchEvent(new Event("code"))
})

/** Why there can be none here; "" when there can. */
async function hindrance() {
  const registration = await navigator.serviceWorker?.getRegistration("/mail/").catch(() => null)
  if (!registration || !KEY) return _("This is possible once the browser trusts the server's certificate.")
  if (!registration.pushManager || !("Notification" in window)) return _("This browser has no notifications here. On an iPhone or iPad, put this page on the home screen first.")
  if (Notification.permission === "denied") return _("The browser does not allow notifications for this page. Its settings for the page change that.")
  return ""
}

/** The dialog. */
export async function show() {
  const reason = await hindrance()
  const kept = reason ? "" : localStorage.getItem(KEPT) ?? ""
  const on = h("input", { type: "checkbox", checked: Boolean(kept), disabled: Boolean(reason) })
  const named = h("input", { type: "checkbox", checked: kept === "named", disabled: !kept })
  on.addEventListener("change", () => { named.disabled = !on.checked })
  const body = h("div", {},
    reason && h("p", { className: "condition warning" }, reason),
    h("p", {}, h("label", { className: "choice" }, on, _("Notify me of new mail on this device"))),
    h("p", {}, h("label", { className: "choice" }, named, _("Show sender and subject"))),
    h("p", { className: "dim" }, _("Notifications pass through the push service of the browser's maker, who sees when mail arrives. What they say is encrypted; without sender and subject they say only that there is new mail.")),
    h("p", { className: "dim" }, _("They end when you sign out. Your account's page lists them.")))
  if (!await ask(_("Notifications"), body, reason ? [] : [["yes", _("Save")]])) return
  const wanted = on.checked ? (named.checked ? "named" : "plain") : ""
  if (wanted === kept) return
  try {
    await inTurn(() => (wanted ? turnOn(wanted) : turnOff()))
  } catch (fault) {
    await inTurn(turnOff).catch(() => {})
    say(fault.name === "NotAllowedError" ? _("The browser does not allow notifications for this page. Its settings for the page change that.")
      : _("Notifications could not be switched on: %(why)s", { why: fault.message }), { fault: true })
    return
  }
  say(wanted ? _("Notifications are on.") : _("Notifications are off."))
}

/** One after the other: what is made again when the page opens does not outlast that it is switched off meanwhile. */
let last = Promise.resolve()
const inTurn = (work) => (last = last.catch(() => {}).then(work))

/** When the page opens: the subscription of a session that ended, or that the browser has lost, is made again. */
export const renew = () => inTurn(renewNow)

async function renewNow() {
  const kept = localStorage.getItem(KEPT)
  if (!kept || Notification.permission !== "granted" || await hindrance()) return
  const subscription = await (await worker()).pushManager.getSubscription()
  if (!subscription || !(await known(subscription)).some((one) => one.verificationCode)) await turnOn(kept)
}

async function turnOn(kept) {
  if (await Notification.requestPermission() !== "granted") throw new DOMException("", "NotAllowedError")
  const subscription = await subscribe((await worker()).pushManager)
  await forget(subscription)
  const created = await set({ create: { made: await registered(subscription, kept === "named") } })
  const { id } = created.created.made
  await set({ update: { [id]: { verificationCode: await code(id) } } })
  localStorage.setItem(KEPT, kept)
}

async function turnOff() {
  localStorage.removeItem(KEPT)
  const subscription = await (await worker()).pushManager.getSubscription()
  if (!subscription) return
  await forget(subscription)
  await subscription.unsubscribe()
}

const worker = () => navigator.serviceWorker.ready

/** The browser's subscription; one that was made for another key of the server is of no use any more. */
async function subscribe(manager) {
  const wanted = { userVisibleOnly: true, applicationServerKey: KEY }
  try {
    return await manager.subscribe(wanted)
  } catch (fault) {
    const former = fault.name === "InvalidStateError" && await manager.getSubscription()
    if (!former) throw fault
    await former.unsubscribe()
    return manager.subscribe(wanted)
  }
}

async function registered(subscription, named) {
  const { endpoint, keys } = subscription.toJSON()
  const properties = named ? ["threadId", "from", "subject"] : ["threadId"]
  const filter = { inMailbox: byRole("inbox").id, notKeyword: "$seen" }
  return { deviceClientId: await device(subscription), url: endpoint, keys, types: [], emailDelivery: { [boot.account]: { filter, properties } } }
}

/** Names the browser without telling anything of it. */
async function device({ endpoint }) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`pillarbox ${endpoint}`))
  return [...new Uint8Array(digest)].map((octet) => octet.toString(16).padStart(2, "0")).join("")
}

async function known(subscription) {
  const name = await device(subscription)
  return (await call("PushSubscription/get", { ...NONE, ids: null })).list.filter((one) => one.deviceClientId === name)
}

async function forget(subscription) {
  const ids = (await known(subscription)).map((one) => one.id)
  if (ids.length) await call("PushSubscription/set", { ...NONE, destroy: ids })
}

async function set(change) {
  const done = await call("PushSubscription/set", { ...NONE, ...change })
  const [refused] = Object.values({ ...done.notCreated, ...done.notUpdated })
  if (refused) throw new Error(refused.description ?? refused.type)
  return done
}

/** The code that was pushed for this subscription; it may have come before the server's response. */
function code(id) {
  return new Promise((resolve, reject) => {
    const look = () => { if (codes.has(id)) resolve(codes.get(id)) }
    came.addEventListener("code", look)
    setTimeout(() => reject(new Error(_("the push service did not deliver anything."))), CODE_MS)
    look()
  })
}
