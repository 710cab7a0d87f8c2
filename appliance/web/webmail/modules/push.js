/* One push stream for all tabs of a browser (RFC 8620 §7.3): a browser opens six connections to a server, and each tab needs some.

| tab     | is so while                    | does                                                                       |
|---------|--------------------------------|----------------------------------------------------------------------------|
| leader  | it holds the lock `push`       | has the EventSource, tells the others on the channel `push`                 |
| others  | they wait for the lock         | listen on the channel; the next in line leads when the leader's tab closes  |

Each state that is told makes `changed` run with it, once at a time. A tab that becomes leader, or whose stream was interrupted, looks
too: it may have missed something. Without Web Locks each tab has a stream of its own. */

import { boot } from "./dom.js"
import { checkVersion, connection, lost } from "./jmap.js"

const ADDRESS = "/jmap/events?types=*&closeafter=no&ping=60"
const NAME = "pillarbox-push"
const RETRY_MS = 3000

export function follow(changed) {
  const look = once(changed)
  const channel = new BroadcastChannel(NAME)
  channel.onmessage = ({ data }) => look(data)
  const told = (state) => {
    channel.postMessage(state)
    look(state)
  }
  connection.addEventListener("online", () => look(""))
  if (navigator.locks) navigator.locks.request(NAME, () => new Promise(() => lead(told)))
  else lead(told)
}

/** Once the stream is open nothing is missed any more; what came before is looked for then, by all tabs. */
function lead(told, retry = RETRY_MS) {
  const stream = new EventSource(ADDRESS)
  let opened = false
  document.documentElement.dataset.push = "leader"
  stream.addEventListener("state", (event) => told(stateOfMail(event.data)))
  stream.onopen = () => {
    told("")
    if (opened) fetch("/mail/version", { cache: "no-store" }).then((response) => response.text()).then(checkVersion, lost)
    opened = true
  }
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => lead(told, Math.min(retry * 2, 60000)), retry)
  }
}

/** The state that the own mail has now; "" when more than that changed. */
function stateOfMail(text) {
  const { changed } = JSON.parse(text)
  return Object.keys(changed).length === 1 ? changed[boot.account]?.Email ?? "" : ""
}

/** `work` never runs twice at once; what is asked for meanwhile runs afterwards, once, with what was told last. */
function once(work) {
  let running = false, next = null
  return async (told) => {
    next = told
    if (running) return
    running = true
    try {
      while (next !== null) { const now = next; next = null; await work(now) }
    } catch { /* without a connection: `online` looks again */ } finally { running = false }
  }
}
