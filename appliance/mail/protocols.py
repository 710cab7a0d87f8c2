"""The table of protocols: everything about a listener that more than one part of the server needs to know, one row each.

Settings, listeners, systemd's socket names, DNS records, the first-run guide, the port check and the SMTP service's rules read
it: a new listener of an existing service is one row here, and nothing else.

| column       | used by                                                                                        |
|--------------|------------------------------------------------------------------------------------------------|
| name         | settings [listen], `--listen NAME=HOST:PORT`, FileDescriptorName of systemd, status             |
| port         | DNS records; the port the world expects (IANA)                                                 |
| trial_port   | default address of a server started without settings: 127.0.0.1, no rights needed              |
| implicit_tls | listeners, port check, DNS records: TLS from the first octet (RFC 8314 §3); else STARTTLS      |
| service      | which service answers                                                                          |
| sign_in      | who may sign in: "always" for mail programs, "never" where strangers deliver (but for a setting) |
| srv          | SRV label that mail programs look for (RFC 6186, RFC 8314 §5.1); "" for none                   |
"""

from dataclasses import dataclass
from typing import Literal

ServiceName = Literal["smtp", "imap", "pop3", "http"]


@dataclass(frozen=True, slots=True)
class ProtocolRow:
    """One protocol that a listener can have; see the table above. `text` explains it in the settings, `guide` in the first-run guide."""

    name: str
    port: int
    trial_port: int
    implicit_tls: bool
    service: ServiceName
    sign_in: Literal["always", "never"]
    text: str
    srv: str = ""
    guide: str = ""


PROTOCOLS: tuple[ProtocolRow, ...] = (
    ProtocolRow("smtp", 25, 2525, False, "smtp", "never", "Mail from other servers (they expect port 25)."),
    ProtocolRow(
        "submission", 587, 2587, False, "smtp", "always", "Mail programs send, STARTTLS (usual port 587).", "_submission",
    ),
    ProtocolRow(
        "submissions", 465, 2465, True, "smtp", "always", "Mail programs send, TLS from the start (usual port 465).", "_submissions",
            "send, SMTP",
    ),
    ProtocolRow("imap", 143, 2143, False, "imap", "always", "Mail programs read, STARTTLS (usual port 143).", "_imap"),
    ProtocolRow("imaps", 993, 2993, True, "imap", "always", "Mail programs read, TLS from the start (usual port 993).", "_imaps",
        "read, IMAP"),
    ProtocolRow("pop3", 110, 2110, False, "pop3", "always", "Mail programs fetch, STARTTLS (usual port 110).", "_pop3"),
    ProtocolRow("pop3s", 995, 2995, True, "pop3", "always", "Mail programs fetch, TLS from the start (usual port 995).", "_pop3s",
        "fetch, POP3"),
    ProtocolRow("http", 80, 8080, False, "http", "never", "Browsers without TLS: how to trust the server, then on to https."),
    ProtocolRow("https", 443, 8443, True, "http", "always", "Browsers: set up, run and use the server (usual port 443)."),
)  # fmt: skip
"""In the order they are started and shown."""

GREETINGS: dict[ServiceName, bytes] = {"smtp": b"220", "imap": b"* ", "pop3": b"+OK", "http": b""}
"""How each service's greeting begins (RFC 5321 §4.2, RFC 9051 §7.1, RFC 1939 §4); b"" where the client speaks first."""
PROTOCOL_NAMES = tuple(row.name for row in PROTOCOLS)
IMPLICIT_TLS = tuple(row.name for row in PROTOCOLS if row.implicit_tls)


def protocol(name: str) -> ProtocolRow:
    """The row of a protocol; raises KeyError."""
    return {row.name: row for row in PROTOCOLS}[name]


def service_name(name: str) -> str:
    """The service behind a protocol, for people: "IMAP" for imaps; an unknown one in upper case."""
    return next((row.service for row in PROTOCOLS if row.name == name), name).upper()
