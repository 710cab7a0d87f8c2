"""Webmail: one page of ES modules that speaks JMAP, and the few things the server makes for it.

| address                            | what                                                             | who may ask         |
|------------------------------------|------------------------------------------------------------------|---------------------|
| /mail/                             | the page (`section`); what it shows comes by JMAP                | the session         |
| /mail/files/VERSION/NAME           | its modules and styles (`modules`)                               | everybody           |
| /mail/version, manifest, worker.js | what a tab, the browser and its service worker ask for           | everybody           |
| /mail/message/ACCOUNT/EMAIL        | a message as a document for a frame (`message_document`)         | the session         |
| /mail/text/ACCOUNT/EMAIL           | its text, as a reply quotes it (`message_document`)              | the session         |
| /mail/image/TOKEN                  | an inline or remote image (`images`)                             | whoever has the URL |
| /mail/images-from                  | POST: is a sender's remote image shown unasked (`image_senders`) | the session         |
| /mail/preview/ACCOUNT/BLOB         | an attachment to look at (`attachments`)                         | the session         |
| /mail/zip/ACCOUNT/EMAIL            | all attachments in one file (`attachments`)                      | the session         |
| /mail/source/ACCOUNT/BLOB          | a message as it came (`attachments`)                             | the session         |

The page: the policy of every page (`security`) and `frame-src 'self'`. Nothing of a message enters it as HTML.

The frame's document always has `sandbox` in its own Content-Security-Policy, also when it is opened by itself, and no script can
run in it for three reasons, each enough alone: the cleaning leaves none, the policy allows none (`default-src 'none'`), the sandbox
lacks allow-scripts. Its styles are its own ('unsafe-inline'), its images signed URLs of /mail/image/, its links open elsewhere
without opener or referrer. Nobody but our own page may frame it.

The frame's height is read by our page from the frame's document, which therefore keeps its origin (allow-same-origin). Against it
speaks that a script in it would be ours; for it, that without it each message would be a box that scrolls for itself (a phone's
finger and the keyboard get caught in it), prints cut off, and tells nothing of itself to our page. Without scripts the origin is of
no use to a message: forms are gone, the policy lets it fetch images of /mail/image/ only, and those look at no cookie.

What a notification says (that there is new mail; sender and subject where the user chose so) comes with the push, encrypted for the
browser (`jmap.email_delivery`). The service worker could fetch it instead with the session's cookie. Against that speaks that a phone
away from home is reached by its push service but often cannot reach a server at home, and that the worker would need the page's token
for JMAP. So the worker knows no account and no mail, and keeps nothing. The push service sees when something comes; all pushes have
one size.
"""
