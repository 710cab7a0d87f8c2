/* One push stream for all tabs of a browser (RFC 8620 §7.3): a browser opens six connections to a server, and each tab needs some.

| tab     | is so while                    | does                                                                       |
|---------|--------------------------------|----------------------------------------------------------------------------|
| leader  | it holds the lock `push`       | has the EventSource, tells the others on the channel `push`                 |
| others  | they wait for the lock         | listen on the channel; the next in line leads when the leader's tab closes  |

Each state that is told makes `changed` run, once at a time. A tab that becomes leader, or whose stream was interrupted, looks too: it
may have missed something. Without Web Locks each tab has a stream of its own. */

import { checkVersion, connection, lost } from "./jmap.js"

const ADDRESS = "/jmap/events?types=*&closeafter=no&ping=60"
const NAME = "pillarbox-push"
const RETRY_MS = 3000

export function follow(changed) {
  const look = once(changed)
  const channel = new BroadcastChannel(NAME)
  channel.onmessage = look
  const told = () => {
    channel.postMessage("changed")
    look()
  }
  connection.addEventListener("online", look)
  if (navigator.locks) navigator.locks.request(NAME, () => new Promise(() => lead(told)))
  else lead(told)
}

/** Once the stream is open nothing is missed any more; what came before is looked for then, by all tabs. */
function lead(told, retry = RETRY_MS) {
  const stream = new EventSource(ADDRESS)
  let opened = false
  document.documentElement.dataset.push = "leader"
  stream.addEventListener("state", told)
  stream.onopen = () => {
    told()
    if (opened) fetch("/mail/version", { cache: "no-store" }).then((response) => response.text()).then(checkVersion, lost)
    opened = true
  }
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => lead(told, Math.min(retry * 2, 60000)), retry)
  }
}

/** `work` never runs twice at once; what is asked for meanwhile runs afterwards, once. */
function once(work) {
  let running = false, again = false
  return async () => {
    if (running) { again = true; return }
    running = true
    try {
      do { again = false; await work() } while (again)
    } catch { /* without a connection: `online` looks again */ } finally { running = false }
  }
}
