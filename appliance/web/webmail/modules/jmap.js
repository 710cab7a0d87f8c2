/* The JMAP client (RFC 8620 §3): a list of method calls in, their responses out, and an honest word when there is no connection.

| what happens             | the caller gets   | the page                                                  |
|--------------------------|-------------------|-----------------------------------------------------------|
| the server answers       | the responses     |                                                           |
| too many at once (429)   | the responses     | waits a moment and asks again                             |
| no connection, 5xx       | Offline           | says so, asks every few seconds, goes on (`online` event) |
| the session is over      | SignedOut         | says so, with the way to sign in                          |
| a method failed          | MethodError       | what the caller says                                      |                                        */

import { _, banner, boot } from "./dom.js"

const CORE = "urn:ietf:params:jmap:core"
const WANTED = ["urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission", "urn:ietf:params:jmap:blob"]
const USING = [CORE, ...WANTED.filter((name) => name in boot.capabilities)]
const TOKEN = document.querySelector("meta[name=token]").content
export const limits = boot.capabilities[CORE]
export const mayUse = (name) => `urn:ietf:params:jmap:${name}` in boot.capabilities

export class Offline extends Error {}
export class SignedOut extends Error {}
export class MethodError extends Error {
  constructor(facts) {
    super(facts.description ?? facts.type)
    this.type = facts.type
  }
}

/** All tabs of an account together have `maxConcurrentRequests`: one that is refused for that waits and asks again. */
const TRIES = 12

/** Fires `offline` and `online`. */
export const connection = new EventTarget()
export const fields = { "x-form-token": TOKEN }
let waiting = 0

/** The account of the mailbox shown: one's own, or one that shares it. */
export const shown = { account: boot.account }

/** Fires `change` when accounts began or ceased to share mailboxes with this one. */
export const session = new EventTarget()
let sessionState = boot.sessionState

/** The arguments of each response, in the order of the calls. A call is [name, arguments]; the account is added. */
export async function request(calls, { signal, account = boot.account } = {}) {
  const methodCalls = calls.map(([name, given], at) => [name, { accountId: account, ...given }, String(at)])
  const headers = { "content-type": "application/json", ...fields }
  const response = await send("/jmap/api", { method: "POST", headers, body: JSON.stringify({ using: USING, methodCalls }), signal })
  const found = calls.map(() => null)
  const answer = await response.json()
  if (answer.sessionState !== sessionState) {
    sessionState = answer.sessionState
    session.dispatchEvent(new Event("change"))
  }
  for (const [name, facts, id] of answer.methodResponses) {
    if (name === "error") found[id] ??= new MethodError(facts)
    else if (!found[id] || name === calls[id][0]) found[id] = facts
  }
  return found
}

/** The same for one call. Throws MethodError. */
export async function call(name, given = {}, options = {}) {
  const [found] = await request([[name, given]], options)
  if (found instanceof MethodError) throw found
  return found
}

/** A back reference: an argument that is a result of the call `at` (RFC 8620 §3.7). */
export const result = (at, name, path) => ({ resultOf: String(at), name, path })

/** fetch, with what can go wrong told apart. */
export async function send(url, options) {
  let response
  for (let tries = 0; ; tries++) {
    try {
      response = await fetch(url, { credentials: "same-origin", ...options })
    } catch (fault) {
      if (fault.name === "AbortError") throw fault
      lost()
      throw new Offline()
    }
    if (response.status !== 429 || tries >= TRIES) break
    await new Promise((resolve) => setTimeout(resolve, (50 + 150 * Math.random()) * (tries + 1)))
  }
  if (response.status === 401 || response.status === 403) {
    banner(_("You are signed out. What you were writing is kept in this browser."), _("Sign in"), () => location.assign("/sign-in?next=/mail/"))
    throw new SignedOut()
  }
  if (response.status >= 502) {
    lost()
    throw new Offline()
  }
  if (!response.ok) throw new MethodError({ type: `status ${response.status}` })
  back()
  return response
}

/** No connection: say so and ask until there is one again. */
export function lost() {
  if (waiting) return
  banner(_("No connection to the server. What you write is kept in this browser, and everything goes on by itself."))
  connection.dispatchEvent(new Event("offline"))
  retry(1000)
}

function retry(ms) {
  waiting = setTimeout(async () => {
    try {
      const response = await fetch("/mail/version", { cache: "no-store" })
      if (response.ok) return back(await response.text())
    } catch { /* still away */ }
    retry(Math.min(ms * 2, 15000))
  }, ms)
}

function back(version) {
  if (version !== undefined) checkVersion(version)
  if (!waiting) return
  clearTimeout(waiting)
  waiting = 0
  if (version === undefined || version === boot.version) banner("")
  connection.dispatchEvent(new Event("online"))
}

/** Another version of the server's pages is there: the tab goes on with its own until it is loaded anew. */
export function checkVersion(version) {
  if (version && version !== boot.version) banner(_("Pillarbox was updated."), _("Load the new version"), () => location.reload())
}

addEventListener("offline", lost)
addEventListener("online", () => { if (waiting) { clearTimeout(waiting); retry(0) } })
