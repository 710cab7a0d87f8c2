/* A query of any length of which only windows are read: ids by place, in pages of PAGE, those around what is shown.

After a change all pages but those shown are forgotten. The first row shown is the anchor: wherever it went, the list stays with it. */

import { boot } from "./dom.js"
import { MethodError, request, shown } from "./jmap.js"
import { keepReading, readingCalls } from "./mail.js"

export const PAGE = boot.list.rows

/** The responses that came with the page, if the first list is that of the inbox. */
function first({ filter, position }) {
  const came = boot.first
  boot.first = null
  return came && came.inMailbox === filter.inMailbox && position === 0 ? came.responses : null
}

export class QueryWindow extends EventTarget {
  /** `search`: the filter's words, for snippets. Fires `read` after each page. */
  constructor({ filter, search = false }) {
    super()
    this.query = { ...boot.list.query, filter }
    this.account = shown.account
    this.search = search
    this.total = null
    this.ids = new Map()
    this.snippets = new Map()
    this.reading = new Set()
    this.stopping = new AbortController()
  }

  /** Read what is missing of the places from `first` to before `end`. */
  show(first, end) {
    for (let page = Math.floor(first / PAGE); page * PAGE < Math.max(end, 1); page++) {
      const from = page * PAGE
      if (this.total !== null && from >= this.total) break
      let missing = this.total === null
      for (let at = from; at < from + PAGE && !missing && at < this.total; at++) missing = !this.ids.has(at)
      if (missing && !this.reading.has(page)) this.readPage(page)
    }
  }

  async readPage(page) {
    this.reading.add(page)
    try {
      await this.read({ position: page * PAGE, limit: PAGE })
    } catch (fault) {
      if (fault.name !== "AbortError") this.dispatchEvent(new Event("fault"))
    } finally {
      this.reading.delete(page)
    }
  }

  /** `anew`: what was known of other places is forgotten once the answer is there. */
  async read(part, anew = false) {
    const asked = { ...this.query, ...part }
    const calls = readingCalls(asked)
    if (this.search) calls.push(["SearchSnippet/get", { filter: this.query.filter, "#emailIds": { resultOf: "0", name: "Email/query", path: "/ids" } }])
    const found = first(asked) ?? await request(calls, { signal: this.stopping.signal, account: this.account })
    const [answer] = found
    if (answer instanceof MethodError) throw answer
    keepReading(found, this.account)
    for (const one of (!(found[4] instanceof MethodError) && found[4]?.list) || []) this.snippets.set(one.emailId, one)
    if (anew) this.ids = new Map()
    this.total = answer.total
    answer.ids.forEach((id, at) => this.ids.set(answer.position + at, id))
    this.dispatchEvent(new Event("read"))
    return answer.position
  }

  /** Read again what stands from place `first` on, by the message that stands there; how many places it moved. */
  async refresh(first, count) {
    const anchor = first > 0 ? this.ids.get(first) : null
    try {
      if (anchor) return (await this.read({ anchor, anchorOffset: 0, limit: Math.max(count, PAGE) }, true)) - first
    } catch (fault) {
      if (!(fault instanceof MethodError)) throw fault  // the anchor may be gone: from the top
    }
    await this.read({ position: 0, limit: first + count > 4 * PAGE ? PAGE : Math.max(first + count, PAGE) }, true)
    return 0
  }

  /** Take messages out before the server has said so. */
  remove(gone) {
    const left = [...this.ids].sort(([a], [b]) => a - b)
    this.ids = new Map()
    let shift = 0
    for (const [at, id] of left) {
      if (gone.has(id)) shift++
      else this.ids.set(at - shift, id)
    }
    if (this.total !== null) this.total -= shift
    this.dispatchEvent(new Event("read"))
  }

  placeOf(id) {
    for (const [at, one] of this.ids) if (one === id) return at
    return -1
  }

  close() {
    this.stopping.abort()
  }
}
