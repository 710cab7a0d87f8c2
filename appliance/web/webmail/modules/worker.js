/* The service worker: keeps the files of the page, which are the same for everybody, and nothing private.

| request                        | answer                                                      |
|--------------------------------|-------------------------------------------------------------|
| a file of this version         | what is kept                                                |
| the page                       | the server's; without a connection a few words              |
| anything else                  | not the worker's business                                   |

| push (notifications.js)        | shown                                                       |
|--------------------------------|-------------------------------------------------------------|
| the code of a subscription     | that notifications are on; the page gets the code           |
| a new message                  | sender and subject when they came with it, else "new mail"  |

A newer version keeps its own files and forgets the older ones only when no tab has them. SHELL is put in front by the server. */

const NAME = `shell ${SHELL.version}`

addEventListener("install", (event) => event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(SHELL.files))))
addEventListener("activate", (event) => event.waitUntil(caches.keys().then((names) =>
  Promise.all(names.filter((name) => name.startsWith("shell ") && name !== NAME).map((name) => caches.delete(name))))))

addEventListener("fetch", (event) => {
  const { request } = event
  const { pathname } = new URL(request.url)
  if (request.method !== "GET") return
  if (SHELL.files.includes(pathname)) event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)))
  else if (request.mode === "navigate" && pathname === "/mail/") event.respondWith(fetch(request).catch(away))
})

addEventListener("push", (event) => event.waitUntil(pushed(event.data.json())))
addEventListener("notificationclick", (event) => {
  event.notification.close()
  event.waitUntil(open(event.notification.data))
})

const pages = async () => (await clients.matchAll({ type: "window", includeUncontrolled: true }))
  .filter(({ url }) => new URL(url).pathname === "/mail/")

/** Every push shows something: browsers take a subscription away whose pushes are silent. */
async function pushed(told) {
  if (told["@type"] === "PushVerification") {
    for (const page of await pages()) page.postMessage({ id: told.pushSubscriptionId, code: told.verificationCode })
    return notify(SHELL.on, { tag: "on" })
  }
  const { from, subject, threadId = "" } = told.email ?? {}
  if (!from) return notify(SHELL.newMail, { tag: "new", renotify: true, data: threadId })
  return notify(from[0]?.name || from[0]?.email || SHELL.newMail, { body: subject ?? "", tag: threadId, renotify: true, data: threadId })
}

const notify = (title, options) => registration.showNotification(title, { icon: SHELL.icon, ...options })

/** The page that is open shows the conversation; without one it is opened there. */
async function open(thread) {
  const [page] = await pages()
  if (!page) return clients.openWindow(`/mail/#/${thread ?? ""}`)
  if (thread) page.postMessage({ thread })
  return page.focus()
}

const away = () => new Response(`<!DOCTYPE html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="10">
<title>Pillarbox</title><p>${SHELL.offline}</p>`, { headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": "default-src 'none'" } })
