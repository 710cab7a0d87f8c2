/* The service worker: keeps the files of the page, which are the same for everybody, and nothing private.

| request                        | answer                                                      |
|--------------------------------|-------------------------------------------------------------|
| a file of this version         | what is kept                                                |
| the page                       | the server's; without a connection a few words              |
| anything else                  | not the worker's business                                   |

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

const away = () => new Response(`<!DOCTYPE html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="10">
<title>Pillarbox</title><p>${SHELL.offline}</p>`, { headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": "default-src 'none'" } })
