"""How mail programs reach this server, as the XML that Thunderbird and others fetch (autoconfig, clientConfig 1.1)."""

from collections.abc import Sequence

from markupsafe import escape

from appliance.mail.protocols import ProtocolRow, protocol

MEDIA_TYPE = "application/xml; charset=utf-8"
KINDS = {"imap": ("incomingServer", "imap"), "pop3": ("incomingServer", "pop3"), "smtp": ("outgoingServer", "smtp")}


def mail_settings(domain: str, host_name: str, services: Sequence[tuple[str, int]]) -> str:
    """`services`: protocol and port. Servers with TLS from the start come first: programs take the first they can."""
    rows = [(protocol(name), port) for name, port in services]
    rows = [(row, port) for row, port in rows if row.service in KINDS and row.sign_in == "always"]
    rows.sort(key=lambda pair: (KINDS[pair[0].service][0], pair[0].service != "imap", not pair[0].implicit_tls))
    servers = "".join(_server(row, port, host_name) for row, port in rows)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<clientConfig version="1.1">\n'
        f' <emailProvider id="{escape(domain)}">\n  <domain>{escape(domain)}</domain>\n'
        f"  <displayName>{escape(domain)}</displayName>\n{servers} </emailProvider>\n</clientConfig>\n"
    )


def _server(row: ProtocolRow, port: int, host_name: str) -> str:
    element, kind = KINDS[row.service]
    security = "SSL" if row.implicit_tls else "STARTTLS"
    return (
        f'  <{element} type="{kind}">\n   <hostname>{escape(host_name)}</hostname>\n   <port>{port}</port>\n'
        f"   <socketType>{security}</socketType>\n   <username>%EMAILADDRESS%</username>\n"
        f"   <authentication>password-cleartext</authentication>\n  </{element}>\n"
    )
