/* Whom one writes as: the identities of the account (RFC 8621 §6).

They are read when writing begins, and again once the server told of a change of anything but mail. Without a connection what was read
last serves, or the account's own address, with an id that sending asks for again. */

import { boot } from "./dom.js"
import { MethodError, Offline, call, request } from "./jmap.js"
import { changes } from "./mail.js"

/** Fires `change` when this tab changed one. */
export const senders = new EventTarget()
let reading = null
let last = [{ id: "", name: "", email: boot.address }]

changes.addEventListener("others", () => { reading = null })

/** As the server has them. Throws Offline. */
export async function readIdentities() {
  try {
    reading ??= call("Identity/get", { ids: null })
    return (last = (await reading).list)
  } catch (fault) {
    reading = null
    throw fault
  }
}

export async function identities() {
  try {
    return await readIdentities()
  } catch (fault) {
    if (!(fault instanceof Offline)) throw fault
    return last
  }
}

/** The response to Identity/set with these arguments. */
export async function setIdentities(change) {
  const [done, got] = await request([["Identity/set", change], ["Identity/get", { ids: null }]])
  if (done instanceof MethodError) throw done
  reading = got instanceof MethodError ? null : Promise.resolve(got)
  senders.dispatchEvent(new Event("change"))
  return done
}

/** What an identity gives a message. */
export const fromOf = ({ id, name, email, replyTo }) => ({ identity: id, from: { name, email }, replyTo: replyTo ?? [] })
/** How one is shown to choose from. */
export const labelOf = ({ name, email }) => (name ? `${name} <${email}>` : email)
