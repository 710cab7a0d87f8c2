"""Messages for tests of webmail, sent by SMTP to a running server, and a server that counts who asks it."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage, Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.server import Pillarbox
from tests.support.wire import Smtp

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mP8z8BQz0AEYBxVSF+FABJADveWkH6oAAAAAElFTkSuQmCC")
SENDER = "mary.smith@friends.example"


def message(subject: str, text: str, *, html: str = "", name: str = "Mary Smith", id: str = "", after: str = "") -> EmailMessage:
    """`after`: the Message-ID it answers."""
    made = EmailMessage()
    made["From"] = f"{name} <{SENDER}>"
    made["To"] = "Ada <ada@home.example>"
    made["Subject"] = subject
    if id:
        made["Message-ID"] = id
    if after:
        made["In-Reply-To"] = made["References"] = after
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    return made


def pictures() -> EmailMessage:
    """HTML with an inline and a remote image, attachments and an invitation."""
    html = "<h2 style='color:#a00'>Holiday</h2><p>Here they are <img src='cid:p1' alt='us'><img src='http://tracker.example/t.gif'></p>"
    made = message("Holiday pictures", "See the pictures", html=html)
    made.get_payload()[1].add_related(PNG, "image", "png", cid="<p1>")
    made.add_attachment(PNG, maintype="image", subtype="png", filename="beach.png")
    made.add_attachment("<script>document.title='ran'</script>", subtype="html", filename="page.html")
    lines = ("METHOD:REQUEST", "BEGIN:VEVENT", "SUMMARY:Slide show", "DTSTART:20261205T170000Z", "END:VEVENT")
    event = "\r\n".join(("BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""))
    made.add_attachment(event, subtype="calendar", filename="invite.ics")
    return made


def deliver(server: Pillarbox, *messages: Message, to: bytes = b"ada@home.example") -> None:
    with Smtp(server.ports["smtp"]) as smtp:
        for one in messages:
            smtp.begin(to, sender=SENDER.encode())
            octets = one.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
            assert smtp.ask(octets.rstrip() + b"\r\n.").startswith(b"250")


@contextmanager
def counting_server() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths it was asked for so far."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("content-type", "text/javascript")
            self.end_headers()

        do_POST = do_HEAD = do_OPTIONS = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
