/* The JMAP client (RFC 8620 §3): a list of method calls in, their responses out, and an honest word when there is no connection.

| what happens             | the caller gets   | the page                                                  |
|--------------------------|-------------------|-----------------------------------------------------------|
| the server answers       | the responses     |                                                           |
| too many at once (429)   | the responses     | waits a moment and asks again                             |
| no connection (below)    | Offline           | says so, asks every few seconds, goes on (`online` event) |
| the session is over      | SignedOut         | says so, with the way to sign in                          |
| a method failed          | MethodError       | what the caller says                                      |

No connection is also: 502 and above without a problem document of ours (RFC 9457), a body that ends too early, a page of HTML (of a
network that wants a sign-in first), and silence for PATIENCE_MS while nobody answers beside it either, or for LOOKS times as long while somebody does. A request that came to
nothing may have been carried out. The pauses between two askings grow from FIRST_PAUSE_MS, and begin anew once a connection held for
STEADY_MS: a network that lets only the asking through is not asked without end. */

import { _, banner, boot } from "./dom.js"

const CORE = "urn:ietf:params:jmap:core"
const WANTED = ["urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission", "urn:ietf:params:jmap:blob"]
const USING = [CORE, ...WANTED.filter((name) => name in boot.capabilities)]
const TOKEN = document.querySelector("meta[name=token]").content
export const limits = boot.capabilities[CORE]
export const mayUse = (name) => `urn:ietf:params:jmap:${name}` in boot.capabilities

export class Offline extends Error {
  constructor() { super(_("there is no connection")) }
}
export class SignedOut extends Error {
  constructor() { super(_("you are signed out")) }
}
export class MethodError extends Error {
  constructor(facts) {
    super(facts.description ?? facts.type)
    this.type = facts.type
  }
}

/** All tabs of an account together have `maxConcurrentRequests`: one that is refused for that waits and asks again. */
const TRIES = 12

const PATIENCE_MS = 10_000
const LOOKS = 6
const FIRST_PAUSE_MS = 1000
const LAST_PAUSE_MS = 15_000
const STEADY_MS = 60_000

/** Fires `offline` and `online`. */
export const connection = new EventTarget()
export const fields = { "x-form-token": TOKEN }

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

/** fetch, with what can go wrong told apart; the body is there as a whole. */
export async function send(url, options = {}) {
  let response
  for (let tries = 0; ; tries++) {
    response = await exchange(url, options)
    if (response.status !== 429 || tries >= TRIES) break
    await pause((50 + 150 * Math.random()) * (tries + 1))
  }
  if (response.status === 401 || response.status === 403) throw signedOut()
  if (!response.ok) throw new MethodError({ type: `status ${response.status}`, description: (await response.json().catch(() => null))?.detail })
  return response
}

/** Does somebody else answer, in place of the server? */
export const isElsewhere = (status, type) => (status >= 502 ? !type?.startsWith("application/problem") : Boolean(type?.startsWith("text/html")))

/** One request and its response. */
async function exchange(url, { signal, ...options }) {
  const stop = new AbortController()
  const stopNow = () => stop.abort()
  if (signal?.aborted) stopNow()
  signal?.addEventListener("abort", stopNow)
  const watch = setTimeout(stopWhenSilent, PATIENCE_MS, stop)
  try {
    const response = await fetch(url, { credentials: "same-origin", ...options, signal: stop.signal })
    if (isElsewhere(response.status, response.headers.get("content-type"))) throw new Offline()
    const octets = await response.arrayBuffer()
    return new Response(octets.byteLength ? octets : null, response)
  } catch {
    if (signal?.aborted) throw new DOMException("nobody wants it any more", "AbortError")
    lost()
    throw new Offline()
  } finally {
    clearTimeout(watch)
    signal?.removeEventListener("abort", stopNow)
    stopNow()
  }
}

/** Stops a request that is not answered; the server may be busy with it, if it is there. */
async function stopWhenSilent(stop) {
  for (let looks = 0; looks < LOOKS && !stop.signal.aborted && await serverVersion(); looks++) await pause(PATIENCE_MS)
  stop.abort()
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** The version of the server's pages; "" when nobody is there, or somebody else. */
export async function serverVersion() {
  const stop = new AbortController()
  const watch = setTimeout(() => stop.abort(), PATIENCE_MS)
  try {
    const response = await fetch("/mail/version", { cache: "no-store", signal: stop.signal })
    const text = await response.text()
    return response.ok && /^[0-9a-f]+$/.test(text) ? text : ""
  } catch {
    return ""
  } finally {
    clearTimeout(watch)
  }
}

/** The version of the server, which is there. Throws Offline. */
export async function reach() {
  const version = await serverVersion()
  if (version) return version
  lost()
  throw new Offline()
}

/** The session is over: say so. */
export function signedOut() {
  banner(_("You are signed out. What you were writing is kept in this browser."), _("Sign in"), () => location.assign(`/sign-in?next=/mail/${location.hash}`))
  return new SignedOut()
}

let away = false
let pauseMs = FIRST_PAUSE_MS
let backAt = -Infinity
let askNow = () => {}

/** No connection: say so and ask until there is one again. */
export async function lost() {
  if (away) return
  away = true
  banner(_("No connection to the server. What you write is kept in this browser, and everything goes on by itself."))
  connection.dispatchEvent(new Event("offline"))
  if (performance.now() - backAt > STEADY_MS) pauseMs = FIRST_PAUSE_MS
  let version = ""
  while (!version) {
    await Promise.race([pause(pauseMs), new Promise((resolve) => { askNow = resolve })])
    pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)
    version = await serverVersion()
  }
  away = false
  backAt = performance.now()
  banner("")
  checkVersion(version)
  connection.dispatchEvent(new Event("online"))
}

/** Another version of the server's pages is there: the tab goes on with its own until it is loaded anew. */
export function checkVersion(version) {
  if (version && version !== boot.version) banner(_("Pillarbox was updated."), _("Load the new version"), () => location.reload())
}

addEventListener("offline", lost)
addEventListener("online", () => askNow())
