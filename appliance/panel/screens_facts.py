"""Screens without a list to choose from: network and listeners, certificates, the log. Pure."""

from collections.abc import Sequence

from appliance.languages.catalogues import Language
from appliance.status.snapshot import Snapshot
from appliance.status.text import stamp

from .screens_text import BLANK, STRONG, Screen, TextLine, clean, columns, line, octets_of, wrap

SIDE = 40
"""Columns a long line of the log moves by."""


def network(s: Snapshot, screen: Screen) -> list[TextLine]:
    """Outbound connectivity, listeners with their state and sessions, logins."""
    _, width = screen.language, screen.columns
    outbound = _(s.outbound.sentence) if s.outbound.sentence else _("not checked yet")
    rows = wrap(_("Addresses  %(text)s", text=", ".join(s.host.addresses) or _("none")), width, " " * 11)[:2]
    rows += wrap(_("Outbound   %(text)s", text=outbound), width, " " * 11)[:3]
    state, route = _(s.outbound.port_25), _route(s.outbound.route, _)
    rows.append(_("           port 25 outbound: %(state)s; messages leave: %(route)s", state=state, route=route))
    shown = [line(row) for row in rows]
    shown += [BLANK, line(_("Listener      address                       open   so far   refused  octets"))]
    shown += _listeners(s, _) or [line(_("There are no listeners."))]
    shown += [BLANK, line(_signing_in(s, _))]
    limited = (_("May not send for a while, after unusually much: %(account)s", account=account) for account in s.send_limited)
    return [*shown, *(line(row, STRONG) for row in limited)]


def _route(route: str, _: Language) -> str:
    relay = route.removeprefix("relay ")
    return _("relay %(name)s", name=relay) if relay != route else _("directly") if route == "direct" else _("not at all")


def _listeners(s: Snapshot, _: Language) -> list[TextLine]:
    sessions = {row.protocol: row for row in s.sessions}
    counted: set[str] = set()
    rows = []
    for listener in s.listeners:
        facts, where = sessions.get(listener.protocol), ((listener.protocol, 13), (listener.address, 29))
        if listener.reason:
            closed = _("CLOSED: %(reason)s", reason=_(listener.reason))
            rows.append(line(columns(*where, (closed, 0)), STRONG))
        elif facts is None or listener.protocol in counted:  # once, at the protocol's first listener
            rows.append(line(columns(*where, ("-" if facts is None else '"', 6))))
        else:
            moved = octets_of(facts.octets_in + facts.octets_out, _)
            rows.append(line(columns(*where, (str(facts.open), 6), (str(facts.opened), 8), (str(facts.refused), 8), (moved, 9))))
            counted.add(listener.protocol)
    return rows


def _signing_in(s: Snapshot, _: Language) -> str:
    times = _.counted("Signing in: %(number)s time", "Signing in: %(number)s times", s.logins.succeeded)
    text = f"{times}, " + _.counted("%(number)s wrong password", "%(number)s wrong passwords", s.logins.failed)
    if not s.logins.failed_lately:
        return text
    peers = _.counted("%(number)s address", "%(number)s addresses", s.logins.peers_lately)
    return text + _(", %(lately)s of them lately, from %(peers)s", lately=s.logins.failed_lately, peers=peers)


def certificates(s: Snapshot, text: str, screen: Screen) -> list[str]:
    """The certificate in use and `text`, the response to ShowCertificate."""
    _, served = screen.language, s.certificate
    if served.names:
        rows = wrap(_("In use: %(names)s", names=", ".join(served.names)), screen.columns, "  ")
        issuer = _("the server") if served.source == "server" else _("another authority")
        until = stamp(served.not_after_at, s.utc_offset_s, _.date)
        rows.append(_("  until %(until)s, issued by %(issuer)s", until=until, issuer=issuer))
    else:
        rows = [_("There is no certificate yet.")]
    if served.trouble:
        rows += wrap(_("A newer one could not be used: %(trouble)s", trouble=_(served.trouble)), screen.columns, "  ")
    return [*rows, "", *(row for part in _(text).splitlines() for row in wrap(part, screen.columns, "    "))]


def logs(lines: Sequence[str], back: int, side: int, screen: Screen) -> list[TextLine]:
    """The newest lines below, `back` lines up from there, from column `side` on."""
    end = max(min(screen.room, len(lines)), len(lines) - back)
    shown = [line(clean(one)[side:]) for one in lines[max(0, end - screen.room) : end]]
    return shown or [line(screen.language("The journal is empty."))]
