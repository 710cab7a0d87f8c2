/* A query of any length of which only windows are read: ids by place, in pages of PAGE, those around what is shown.

After a change all pages but those shown are forgotten. The first row shown is the anchor: wherever it went, the list stays with it;
when it is gone, another one shown. */

import { boot } from "./dom.js"
import { MethodError, Offline, request, shown } from "./jmap.js"
import { begun, changes, changesKnown, emails, keepReading, readMembers, readingCalls, settled } from "./mail.js"

export const PAGE = boot.list.rows
/** Pages that are read at the same time; of those passed by meanwhile none is. */
const AT_ONCE = 2
const RETRY_MS = 5000

/** The responses that came with the page, if the first list is that of the inbox. */
function first({ filter, position }) {
  const came = boot.first
  boot.first = null
  return came && came.inMailbox === filter.inMailbox && position === 0 ? came.responses : null
}

export class QueryWindow extends EventTarget {
  /** `search`: the filter's words, for snippets. Fires `read` after each page, `fault` when one cannot be read: it is tried again. */
  constructor({ filter, search = false }) {
    super()
    this.query = { ...boot.list.query, filter }
    this.account = shown.account
    this.search = search
    this.total = null
    this.ids = new Map()
    this.snippets = new Map()
    this.reading = new Set()
    this.wanted = [0, 0]
    this.age = 0
    this.failed = this.told = false
    this.stopping = new AbortController()
  }

  /** Read what is missing of the places from `first` to before `end`. */
  show(first, end) {
    this.wanted = [first, end]
    this.readMore()
  }

  readMore() {
    if (this.failed || this.stopping.signal.aborted) return
    for (const page of this.missing(...this.wanted)) if (!this.reading.has(page) && this.reading.size < AT_ONCE) this.readPage(page)
  }

  /** The pages with places that are not known. */
  missing(first, end) {
    const found = []
    for (let page = Math.floor(first / PAGE); page * PAGE < Math.max(end, 1); page++) {
      const from = page * PAGE
      if (this.total !== null && from >= this.total) break
      let missing = this.total === null
      for (let at = Math.max(from, first); at < Math.min(from + PAGE, end) && !missing && at < this.total; at++) missing = !emails.has(this.ids.get(at))
      if (missing) found.push(page)
    }
    return found
  }

  async readPage(page) {
    this.reading.add(page)
    try {
      await this.read({ position: page * PAGE, limit: PAGE })
    } catch (fault) {
      if (fault.name !== "AbortError") this.tryAgain(fault)
    } finally {
      this.reading.delete(page)
    }
    this.readMore()
  }

  /** Without a connection the page says so already: it is no other fault to tell, in place of an undo that is offered. */
  tryAgain(fault) {
    if (this.failed) return
    this.failed = true
    if (!this.told && !(fault instanceof Offline)) {
      this.told = true
      this.dispatchEvent(new Event("fault"))
    }
    setTimeout(() => this.tryNow(), RETRY_MS)
  }

  /** The places known are not those that the server has now: nothing is added to them until all was read again. */
  changed() {
    if (this.failed) return
    this.failed = true
    changes.dispatchEvent(new Event("remote"))
    setTimeout(() => this.tryNow(), RETRY_MS)
  }

  /** What was read in the midst of a change of this tab may be from before it: a filter by what was changed has other messages now. */
  async lookAgain() {
    await settled()
    if (!this.stopping.signal.aborted) changes.dispatchEvent(new Event("remote"))
  }

  tryNow() {
    this.failed = false
    this.readMore()
  }

  /** Read all that is missing of these places, one page after the other; again what is forgotten meanwhile. */
  async readAll(first, end) {
    for (let left = 3 * this.missing(first, end).length; left > 0; left--) {
      const [page] = this.missing(first, end)
      if (page === undefined) return
      await this.read({ position: page * PAGE, limit: PAGE })
    }
  }

  /** `anew`: what was known of other places is forgotten once the answer is there. */
  async read(part, anew = false) {
    const asked = { ...this.query, ...part }
    const calls = readingCalls(asked)
    if (this.search) calls.push(["SearchSnippet/get", { filter: this.query.filter, "#emailIds": { resultOf: "0", name: "Email/query", path: "/ids" } }])
    const age = this.age, known = changesKnown(), isAmid = known < begun
    const found = first(asked) ?? await request(calls, { signal: this.stopping.signal, account: this.account })
    const [answer] = found
    const refused = [answer, found[1]].find((one) => one instanceof MethodError)
    if (refused) throw refused
    if (found[3] instanceof MethodError) found[3] = await readMembers(found[2], { signal: this.stopping.signal, account: this.account })
    this.told = false
    keepReading(found, this.account, known)
    for (const one of (!(found[4] instanceof MethodError) && found[4]?.list) || []) this.snippets.set(one.emailId, one)
    if (!anew && age !== this.age) return answer.position  // all was read again meanwhile: these places may be others now
    if (!anew && this.total !== null && answer.total !== this.total) {
      this.changed()
      return answer.position
    }
    if (anew) {
      this.failed = false
      this.ids = new Map()
      this.age++
    }
    this.total = answer.total
    answer.ids.forEach((id, at) => this.ids.set(answer.position + at, id))
    this.dispatchEvent(new Event("read"))
    if (isAmid && !anew) this.lookAgain()
    return answer.position
  }

  /** Read again what stands from place `first` on and `around` it, by the message that stands there; how many places it moved. */
  async refresh(first, count, around) {
    for (const at of first > 0 ? [first, first + (count >> 1), first + count] : []) {
      const anchor = this.ids.get(at)
      if (!anchor) continue
      try {
        await this.read({ anchor, anchorOffset: first - at - around, limit: Math.max(count + 2 * around, PAGE) }, true)
        return this.placeOf(anchor) - at
      } catch (fault) {
        if (!(fault instanceof MethodError)) throw fault  // the anchor may be gone: another
      }
    }
    await this.read({ position: 0, limit: first + count > 4 * PAGE ? PAGE : Math.max(first + count, PAGE) }, true)
    return 0
  }

  /** Take messages out before the server has said so; how many of them were known. */
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
    return shift
  }

  placeOf(id) {
    for (const [at, one] of this.ids) if (one === id) return at
    return -1
  }

  close() {
    this.stopping.abort()
  }
}
