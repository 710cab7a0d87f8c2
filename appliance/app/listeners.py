"""The servers, put together: their doors, the certificate they show, and what each is handed; part of the composition root.

A server's code is loaded when its first client comes: what nobody uses costs no memory.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from appliance.accounts.send_quota import SendQuota
from appliance.certificates.certificates import host_addresses
from appliance.config.settings import PROTOCOLS, Settings
from appliance.mail.errors import SetupError, StoreError
from appliance.mail.limits import MB
from appliance.network.listener import Listeners
from appliance.network.listener import Options as ListenerOptions
from appliance.network.sockets import Endpoint, handed_listening_sockets, not_handed
from appliance.network.tls import ServerTls, usable
from appliance.runtime.identity import keep_authority_made
from appliance.status.events import CertificateTrouble, SendingLimited

if TYPE_CHECKING:
    from appliance.auth.login import Login
    from appliance.auth.mechanisms import Mechanisms
    from appliance.mail.ids import AccountId
    from appliance.network.listener import Handler
    from appliance.network.stream import Stream

    from .outbound import Outbound
    from .server import Components


async def certificate_of(components: "Components") -> ServerTls:
    """The user's own certificate; without one, or while it is not usable, the server's, made when it is missing."""
    own, certificates = components.settings.certificate, components.certificates
    if own.file:
        try:
            tls = ServerTls(Path(own.file), Path(own.key), clock=components.clock, board=components.board)
        except SetupError:
            server = await _own_made(components)
            tls = ServerTls(Path(own.file), Path(own.key), clock=components.clock, board=components.board, fallback=server)
    else:
        server = await _own_made(components)
        tls = ServerTls(server, server, clock=components.clock, board=components.board, source="server")
    certificates.in_use = lambda: tls.source == "server"
    return tls


async def _own_made(components: "Components") -> Path:
    """The server's own certificate and key, made anew when they are due or cannot be used. Raises SetupError when there are none."""
    certificates = components.certificates
    try:
        await certificates.ensure()
        if not usable(certificates.server):
            await certificates.ensure(force=True)
        with suppress(StoreError):  # a full card: at the next start
            await keep_authority_made(components.database)
    except SetupError as e:
        if not usable(certificates.server):
            raise
        components.board.publish(CertificateTrouble(e.problem, e.remedy))
    return certificates.server


def sending_of(components: "Components") -> SendQuota:
    """How much each person may send outside; the board says who has reached it."""

    def say(account: "AccountId", limited: bool) -> None:
        found = components.accounts.directory.account(account)
        components.board.publish(SendingLimited(found.address if found else f"person {account}", limited))

    accounts = components.settings.accounts
    return SendQuota(messages_per_hour=accounts.messages_per_hour, recipients_per_day=accounts.recipients_per_day, say=say)


def listeners_of(components: "Components", tls: ServerTls, sending: SendQuota, outbound: "Outbound") -> Listeners:
    """Every door of the settings, or those systemd handed over, with its server behind it."""
    settings, clock, board = components.settings, components.clock, components.board
    loading = trio.Lock()
    doorkeepers: list[tuple[Login, Mechanisms]] = []

    def auth() -> "tuple[Login, Mechanisms]":
        """The one Login all servers share; asked for under the loading lock only."""
        if not doorkeepers:
            from appliance.accounts.throttle import Throttle
            from appliance.auth.login import Login
            from appliance.auth.mechanisms import Mechanisms

            login = Login(components.accounts, Throttle(), board, clock)
            doorkeepers.append((login, Mechanisms(login, plaintext_login=settings.accounts.plaintext_login)))
        return doorkeepers[0]

    octets = settings.messages.largest_mb * MB

    def smtp() -> "Handler":
        from appliance.delivery.intake import Intake
        from appliance.smtpd.service import Options, Service, SmtpContext

        options = Options(
            host_name=components.host_name(),
            message_octets=octets,
            recipients=settings.messages.recipients,
            forged_own_sender=settings.messages.forged_own_sender,
            others_as_sender=settings.messages.others_as_sender,
            sign_in_on_25=settings.smtp.sign_in_on_25,
            greet_pause_s=settings.smtp.greet_pause_s,
        )
        context = SmtpContext(
            intake=Intake(store=components.store, board=board, clock=clock, notices=outbound.notices, outward=outbound.outward),
            directory=components.accounts.directory,
            mechanisms=auth()[1],
            board=board,
            clock=clock,
            options=options,
            relay_check=outbound.relay_check,
            sending=sending,
            own_addresses=host_addresses,
        )
        return Service(context).handle

    def imap() -> "Handler":
        from appliance.imapd.service import Options, Service

        options = Options(host=components.host_name(), message_octets=octets)
        login, mechanisms = auth()
        return Service(store=components.store, login=login, mechanisms=mechanisms, board=board, clock=clock, options=options).handle

    def pop3() -> "Handler":
        from appliance.pop3d.service import Options, Service

        options = Options(mark_seen=settings.pop3.mark_seen)
        login, mechanisms = auth()
        return Service(store=components.store, login=login, mechanisms=mechanisms, options=options).handle

    servers = {"s": AtFirstCall(smtp, loading), "i": AtFirstCall(imap, loading), "p": AtFirstCall(pop3, loading)}
    services = {protocol: servers[protocol[0]] for protocol in PROTOCOLS}
    handed = handed_listening_sockets(os.environ, os.getpid())
    return Listeners(
        not_handed(endpoints(settings), handed),
        services,
        board=board,
        say=components.journal.say,
        tls=tls,
        handed=handed,
        options=ListenerOptions(
            connections=settings.limits.connections,
            connections_per_source=settings.limits.connections_per_address,
            drain_s=settings.limits.drain_s,
        ),
    )


class AtFirstCall:
    """A server whose code is loaded, in a thread, when its first client comes."""

    def __init__(self, make: "Callable[[], Handler]", loading: trio.Lock) -> None:
        self._make = make
        self._made: list[Handler] = []
        self._loading = loading

    async def __call__(self, stream: "Stream") -> None:
        if not self._made:
            async with self._loading:
                if not self._made:
                    self._made.append(await trio.to_thread.run_sync(self._make))
        await self._made[0](stream)


def endpoints(settings: Settings) -> list[Endpoint]:
    """Every place of the `listen` section."""
    out = []
    for protocol in PROTOCOLS:
        for where in getattr(settings.listen, protocol):
            host, _, port = where.rpartition(":")
            out.append(Endpoint(protocol, host.strip("[]"), int(port)))
    return out
