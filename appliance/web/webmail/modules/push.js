/* One push stream for all tabs of a browser (RFC 8620 §7.3): a browser opens six connections to a server, and each tab needs some.

| tab     | is so while                    | does                                                                        |
|---------|--------------------------------|-----------------------------------------------------------------------------|
| leader  | it holds the lock              | has the stream, and passes on what it hears on the channel, pings as well   |
| others  | they wait for the lock         | listen on the channel; the next in line leads when the leader's tab closes  |
| ended   | the session is over            | nothing: the page says so                                                   |

A stream may be dead without a word (the device slept, its network is another one), and so may a leader: browsers freeze tabs that nobody
sees. When not even a ping was heard for SILENT_MS the leader opens another stream, and a tab that is seen asks for the leader, as it does
whenever it comes in sight; without an answer in ANSWER_MS it takes the lock.

Each state that is told makes `changed` run with it, once at a time and at most every APART_MS, however much arrives. When a stream was
opened all tabs look: something may have been missed. Without Web Locks each tab has a stream of its own. Lock and channel are those of
this version of the page. A tab that nobody sees looks a little later: who reads has the server first. */

import { boot } from "./dom.js"
import { Offline, SignedOut, call, checkVersion, connection, pause, reach, serverVersion } from "./jmap.js"

const ADDRESS = "/jmap/events?types=*&closeafter=no&ping=60"
const NAME = `pillarbox-push ${boot.version}`
const RETRY_MS = 3000
const LAST_RETRY_MS = 60_000
const OPENED_MS = 10_000
const SILENT_MS = 130_000
const ANSWER_MS = 3000
const UNSEEN_MS = 4000
const APART_MS = 500
const LINE_MS = 100

export function follow(changed) {
  const look = once(async (state) => {
    if (document.hidden) await unseen()
    await changed(state)
  })
  connection.addEventListener("online", () => look(""))
  new Tab(look).follow()
}

const unseen = () => new Promise((resolve) => {
  const over = () => { document.removeEventListener("visibilitychange", over); resolve() }
  setTimeout(over, UNSEEN_MS)
  document.addEventListener("visibilitychange", over)
})

/** This tab among the others. */
class Tab {
  constructor(look) {
    this.look = look
    this.stream = null
    this.taking = false
    this.channel = new BroadcastChannel(NAME)
    this.channel.onmessage = ({ data }) => this.told(data)
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.check() })
    document.addEventListener("freeze", () => this.leave?.())
    this.heard()
  }

  /** In line for the lock, and leader when it is there. In a page that is being left every request is refused at once: without a pause the
  loop would never let it go. */
  async follow() {
    while (!this.ended) {
      this.line = new AbortController()
      const options = this.taking ? { steal: true } : { signal: this.line.signal }
      const lead = () => new Promise((resolve) => this.lead(resolve))
      await (navigator.locks ? navigator.locks.request(NAME, options, lead) : lead()).catch(() => pause(LINE_MS))  // taken by another tab, or to be taken
      this.stream?.close()
      this.stream = null
      delete document.documentElement.dataset.push
    }
  }

  lead(leave) {
    this.taking = false
    this.leave = leave
    this.stream = new Stream((message) => { this.channel.postMessage(message); this.told(message) }, () => { this.ended = true; leave() })
    document.documentElement.dataset.push = "leader"
  }

  told({ asks, state, version }) {
    if (asks) {
      if (this.stream) this.channel.postMessage({})
      return
    }
    this.heard()
    if (version !== undefined) checkVersion(version)
    if (state !== undefined) this.look(state)
  }

  heard() {
    this.heardAt = Date.now()
    clearTimeout(this.deadline)
    clearTimeout(this.answer)
    this.deadline = setTimeout(() => this.check(), SILENT_MS)
  }

  /** The clock of the wall also goes while the device sleeps; it may have been set. */
  check() {
    const isSilent = Math.abs(Date.now() - this.heardAt) >= SILENT_MS
    if (this.stream && isSilent) {
      this.heard()
      this.stream.open()
    } else if (!this.stream && !this.ended && !document.hidden) {
      this.channel.postMessage({ asks: true })
      clearTimeout(this.answer)
      this.answer = setTimeout(() => this.take(), ANSWER_MS)
    }
  }

  take() {
    if (this.stream) return
    this.taking = true
    this.line.abort()
  }
}

/** The leader's stream: `tell` gets what all tabs are told, `over` is called when the session is. */
class Stream {
  constructor(tell, over) {
    this.tell = tell
    this.over = over
    this.retryMs = RETRY_MS
    this.failures = this.times = 0
    this.openNow = () => this.open()
    this.open()
  }

  /** In place of the one there was. */
  open() {
    this.close()
    const source = this.source = new EventSource(ADDRESS)
    source.addEventListener("state", (event) => this.tell({ state: stateOfMail(event.data) }))
    source.addEventListener("ping", () => this.tell({}))
    source.onopen = () => this.opened()
    source.onerror = () => this.failed(source)
    this.retry = setTimeout(() => this.again(source, reach), OPENED_MS)
  }

  close() {
    this.source?.close()
    this.source = null
    clearTimeout(this.retry)
    connection.removeEventListener("online", this.openNow)
  }

  /** From now on nothing is missed; the server may have been started with another version meanwhile. */
  async opened() {
    clearTimeout(this.retry)
    this.failures = 0
    this.retryMs = RETRY_MS
    this.tell({ state: "" })
    if (this.times++) this.tell({ version: await serverVersion() })
  }

  /** The browser tries again by itself after a lost connection, but not after a refusal. */
  failed(source) {
    if (source.readyState === EventSource.CLOSED) this.again(source, () => call("Core/echo"))
    else if (this.failures++) this.again(source, reach)
  }

  /** Open another one after a pause, once the server is there; `ask` finds that out. */
  async again(source, ask) {
    const fault = await ask().then(() => null, (reason) => reason)
    if (source !== this.source) return
    clearTimeout(this.retry)
    if (fault instanceof SignedOut) this.over()
    else if (fault instanceof Offline) connection.addEventListener("online", this.openNow, { once: true })
    else this.retry = setTimeout(this.openNow, this.retryMs)
    this.retryMs = Math.min(2 * this.retryMs, LAST_RETRY_MS)
  }
}

/** The state that the own mail has now; "" when more than that changed. */
function stateOfMail(text) {
  const { changed } = JSON.parse(text)
  const own = changed[boot.account]
  return own?.Email && !own.Identity && Object.keys(changed).length === 1 ? own.Email : ""
}

/** `work` never runs twice at once, nor soon again; what is asked for meanwhile runs afterwards, once, with what was told last, or with
"" once that was told: more than mail changed then. */
function once(work) {
  let running = false, next = null
  return async (told) => {
    next = next === "" ? "" : told
    if (running) return
    running = true
    try {
      while (next !== null) {
        const [now, apart] = [next, pause(APART_MS)]
        next = null
        await work(now)
        await apart
      }
    } catch { /* without a connection: `online` looks again */ } finally { running = false }
  }
}
