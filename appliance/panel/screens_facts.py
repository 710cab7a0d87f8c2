"""Screens without a list to choose from: network and listeners, certificates, the log. Pure."""

from collections.abc import Sequence

from appliance.status.snapshot import Snapshot
from appliance.status.text import size, stamp

from .screens_text import BLANK, STRONG, ScreenSize, TextLine, clean, columns, count, line, wrap

SIDE = 40
"""Columns a long line of the log moves by."""


def network(s: Snapshot, screen: ScreenSize) -> list[TextLine]:
    """Outbound connectivity, listeners with their state and sessions, logins."""
    width = screen.columns
    rows = [line(row) for row in wrap(f"Addresses  {', '.join(s.host.addresses) or 'none'}", width, " " * 11)[:2]]
    rows += [line(row) for row in wrap(f"Outbound   {s.outbound.sentence or 'not checked yet'}", width, " " * 11)[:3]]
    rows.append(line(f"           port 25 outbound: {s.outbound.port_25}; messages leave: {s.outbound.route}"))
    rows += [BLANK, line(columns(("Listener", 13), ("address", 29), ("open", 6), ("so far", 8), ("refused", 8), ("octets", 9)))]
    sessions = {row.protocol: row for row in s.sessions}
    counted: set[str] = set()
    for listener in s.listeners:
        facts = sessions.get(listener.protocol)
        if listener.reason:
            rows.append(
                line(
                    columns((listener.protocol, 13), (listener.address, 29), (f"CLOSED: {listener.reason}", 0)),
                    STRONG,
                )
            )
        elif facts is None or listener.protocol in counted:  # once, at the protocol's first listener
            rows.append(line(columns((listener.protocol, 13), (listener.address, 29), ("-" if facts is None else '"', 6))))
        else:
            moved = size(facts.octets_in + facts.octets_out)
            cells = (str(facts.open), 6), (str(facts.opened), 8), (str(facts.refused), 8), (moved, 9)
            rows.append(line(columns((listener.protocol, 13), (listener.address, 29), *cells)))
            counted.add(listener.protocol)
    if not s.listeners:
        rows.append(line("There are no listeners."))
    rows += [BLANK, line(f"Signing in: {count(s.logins.succeeded, 'time')}, {count(s.logins.failed, 'wrong password')}{_guesses(s)}")]
    rows += [line(f"May not send for a while, after unusually much: {account}", STRONG) for account in s.send_limited]
    return rows


def _guesses(s: Snapshot) -> str:
    lately = s.logins.failed_lately
    return f", {lately} of them lately, from {count(s.logins.peers_lately, 'address', 'addresses')}" if lately else ""


def certificates(s: Snapshot, text: str, screen: ScreenSize) -> list[str]:
    """The certificate in use and `text`, the response to ShowCertificate."""
    served, rows = s.certificate, []
    if served.names:
        rows += wrap(f"In use: {', '.join(served.names)}", screen.columns, "  ")
        issuer = "the server" if served.source == "server" else "another authority"
        rows.append(f"  until {stamp(served.not_after_at, s.utc_offset_s)}, issued by {issuer}")
    else:
        rows.append("There is no certificate yet.")
    if served.trouble:
        rows += wrap(f"A newer one could not be used: {served.trouble}", screen.columns, "  ")
    return [*rows, "", *(row for part in text.splitlines() for row in wrap(part, screen.columns, "    "))]


def logs(lines: Sequence[str], back: int, side: int, screen: ScreenSize) -> list[TextLine]:
    """The newest lines below, `back` lines up from there, from column `side` on."""
    end = max(min(screen.room, len(lines)), len(lines) - back)
    shown = [line(clean(one)[side:]) for one in lines[max(0, end - screen.room) : end]]
    return shown or [line("The journal is empty.")]
