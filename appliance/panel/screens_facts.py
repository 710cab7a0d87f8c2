"""Screens that only tell: network and ports, certificates, the log. Pure."""

from collections.abc import Sequence

from appliance.status.snapshot import Snapshot
from appliance.status.text import size, stamp

from .screens_text import BLANK, STRONG, TextLine, clean, columns, count, line, room, wrap

SIDE = 40
"""Columns a long line of the log moves by."""


def network(s: Snapshot) -> list[TextLine]:
    """Doors with their state, the way out, and who comes in by which protocol."""
    rows = [line(row) for row in wrap(f"Addresses  {', '.join(s.host.addresses) or 'none'}", indent="           ")[:2]]
    rows += [line(row) for row in wrap(f"Way out    {s.outbound.sentence or 'not looked at yet'}", indent="           ")[:3]]
    rows.append(line(f"           port 25 outwards: {s.outbound.port_25}; messages leave: {s.outbound.route}"))
    rows += [BLANK, line(columns(("Door", 13), ("at", 29), ("open", 6), ("so far", 8), ("refused", 8), ("octets", 9)))]
    sessions = {row.protocol: row for row in s.sessions}
    told: set[str] = set()
    for listening_socket in s.listeners:
        facts = sessions.get(listening_socket.protocol)
        if listening_socket.reason:
            rows.append(
                line(
                    columns((listening_socket.protocol, 13), (listening_socket.address, 29), (f"CLOSED: {listening_socket.reason}", 0)),
                    STRONG,
                )
            )
        elif facts is None or listening_socket.protocol in told:  # counted once, at the protocol's first door
            rows.append(line(columns((listening_socket.protocol, 13), (listening_socket.address, 29), ("-" if facts is None else '"', 6))))
        else:
            moved = size(facts.octets_in + facts.octets_out)
            cells = (str(facts.open), 6), (str(facts.opened), 8), (str(facts.refused), 8), (moved, 9)
            rows.append(line(columns((listening_socket.protocol, 13), (listening_socket.address, 29), *cells)))
            told.add(listening_socket.protocol)
    if not s.listeners:
        rows.append(line("No door is open."))
    rows += [BLANK, line(f"Signing in: {count(s.logins.succeeded, 'time')}, {count(s.logins.failed, 'wrong password')}{_guesses(s)}")]
    rows += [line(f"Held back for sending unusually much: {who}", STRONG) for who in s.send_limited]
    return rows


def _guesses(s: Snapshot) -> str:
    lately = s.logins.failed_lately
    return f", {lately} of them lately, from {count(s.logins.peers_lately, 'address', 'addresses')}" if lately else ""


def certificates(s: Snapshot, text: str) -> list[str]:
    """What is served now, and what the server says about it; `text` as ShowCertificate answers."""
    served, rows = s.certificate, []
    if served.names:
        rows += wrap(f"Served now: {', '.join(served.names)}", indent="  ")
        maker = "the server" if served.source == "server" else "somebody else"
        rows.append(f"  until {stamp(served.not_after_at, s.utc_offset_s)}, made by {maker}")
    else:
        rows.append("No certificate is served yet.")
    if served.trouble:
        rows += wrap(f"A newer one could not be used: {served.trouble}", indent="  ")
    return [*rows, "", *(row for part in text.splitlines() for row in wrap(part, indent="    "))]


def logs(lines: Sequence[str], back: int, side: int) -> list[TextLine]:
    """The newest lines below, `back` lines up from there, from column `side` on."""
    end = max(min(room(), len(lines)), len(lines) - back)
    shown = [line(clean(one)[side:]) for one in lines[max(0, end - room()) : end]]
    return shown or [line("Nothing has been said yet.")]
