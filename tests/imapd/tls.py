"""TLS for the tests of this package: a certificate of the server's own authority and a client that trusts it."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from appliance.network.tls import ServerTls
from tests.support.accounts import Listener, TrioClock
from tests.support.certificates import make_certificates


@dataclass
class Tls:
    server: ServerTls
    client: ssl.SSLContext


def make(directory: Path) -> Tls:
    made = make_certificates(directory)
    return Tls(ServerTls(made.server, made.server, clock=TrioClock(), board=Listener()), made.client())  # type: ignore[arg-type]
