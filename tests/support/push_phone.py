"""A phone for tests of a running server: its keys, and the push service that its maker has between it and the server."""

import queue
import ssl
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from appliance.certificates.contents import wanted

from .certificates import make_certificates
from .push_receiver import Receiver
from .server import Pillarbox, new_data
from .wire import faults


@dataclass
class Phone:
    """`next()` is what was pushed: header fields and text, each once."""

    receiver: Receiver
    posted: "queue.Queue[tuple[dict[str, str], bytes]]" = field(default_factory=queue.Queue)

    def next(self) -> tuple[dict[str, str], str]:
        fields, body = self.posted.get(timeout=60)
        return fields, self.receiver.decrypt(body).decode()


@contextmanager
def push_service(certificate: Path, phone: Phone) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            phone.posted.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def pushed_to(place: Path, phone: Phone) -> Iterator[list[str]]:
    """The command of a server that finds the phone's push service, whatever it is called."""
    certificates = make_certificates(place / "service", wanted("box", ["push.example"], []))
    authority = place / "authority.pem"
    authority.write_text(certificates.authority_pem)
    with push_service(certificates.server, phone) as port:
        yield [sys.executable, "-m", "tests.support.local_push", str(port), str(authority)]


@contextmanager
def served_with_pushes(place: Path, phone: Phone, protocols: Sequence[str]) -> Iterator[Pillarbox]:
    """A running server of ada's below `place`, whose pushes reach the phone."""
    with pushed_to(place, phone) as command, Pillarbox(new_data(place / "data", "ada"), protocols=protocols, command=command) as server:
        yield server
        assert not faults(server.log)
