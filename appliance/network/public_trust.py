"""Is a certificate one that browsers trust without being told? Asked of the system's own list of authorities (RFC 5280 §6).

A TLS handshake in memory decides: the certificate with its chain on one side, a client with the system's authorities on the other.
The list takes some megabytes, so it is loaded in a process of its own: `python -m appliance.network.public_trust CERTIFICATE KEY NAME`.
"""

import ssl
import sys

from .tls_end import require_close_notify

ROUNDS = 10
"""More than a handshake needs."""


def is_public(certificate: str, key: str, name: str, authorities: str | None = None) -> bool:
    """Does a client that knows only the system's authorities (or those of a file) accept it for `name`?"""
    server = require_close_notify(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    client = require_close_notify(ssl.create_default_context(cafile=authorities))
    try:
        server.load_cert_chain(certificate, key, password=lambda: "")
        _shake(server, client, name)
    except (OSError, ValueError):
        return False
    return True


def _shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Raises ssl.SSLError where the handshake fails."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(ROUNDS):
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)
    if ends:
        raise ssl.SSLError("no end")


if __name__ == "__main__":
    sys.exit(0 if is_public(*sys.argv[1:4]) else 1)
