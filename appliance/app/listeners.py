"""Listeners and the services behind them: the certificate they show, and what each service is passed.

A service's code is loaded when its first client comes: what nobody uses costs no memory. Which protocols there are, and which
service answers each, stands in `mail/protocols`.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from appliance.accounts.send_quota import SendQuota
from appliance.config.settings import Settings, host_and_port
from appliance.mail.errors import SetupError, StoreError
from appliance.mail.limits import MB
from appliance.mail.protocols import PROTOCOLS
from appliance.network.listener import ListenerOptions as ListenerOptions
from appliance.network.listener import Listeners
from appliance.network.sockets import Endpoint, handed_listening_sockets, not_handed
from appliance.network.tls import ServerTls, usable
from appliance.runtime.host import host_addresses
from appliance.runtime.identity import keep_authority_made
from appliance.status.events import CertificateTrouble, SendingLimited

if TYPE_CHECKING:
    from appliance.auth.login import Login
    from appliance.auth.mechanisms import Mechanisms
    from appliance.control.requests import Control
    from appliance.mail.ids import AccountId
    from appliance.network.listener import Handler
    from appliance.network.stream import Stream

    from .components import Components
    from .jmap import JmapParts
    from .outbound import Outbound


async def certificate_of(components: "Components") -> ServerTls:
    """The user's own certificate; without one, or while it is not usable, the server's, made when it is missing."""
    own, certificates = components.settings.certificate, components.certificates
    if own.file:
        try:
            tls = ServerTls(Path(own.file), Path(own.key), clock=components.clock, board=components.board)
        except SetupError:
            server = await _own_certificate(components)
            tls = ServerTls(Path(own.file), Path(own.key), clock=components.clock, board=components.board, fallback=server)
    else:
        server = await _own_certificate(components)
        tls = ServerTls(server, server, clock=components.clock, board=components.board, source="server")
    certificates.in_use = lambda: tls.source == "server"
    return tls


async def _own_certificate(components: "Components") -> Path:
    """The server's own certificate and key, made anew when they are due or cannot be used. Raises SetupError when there are none."""
    certificates = components.certificates
    try:
        await certificates.ensure()
        if not usable(certificates.server):
            await certificates.ensure(force=True)
        with suppress(StoreError):  # storage is full: at the next start
            await keep_authority_made(components.database)
    except SetupError as e:
        if not usable(certificates.server):
            raise
        components.board.publish(CertificateTrouble(e.problem, e.remedy))
    return certificates.server


def send_quota_of(components: "Components") -> SendQuota:
    """How much each account may send to other servers; the board shows who has reached the limit."""

    def report(account: "AccountId", limited: bool) -> None:
        found = components.accounts.directory.account(account)
        components.board.publish(SendingLimited(found.address if found else f"account {account}", limited))

    accounts = components.settings.accounts
    return SendQuota(messages_per_hour=accounts.messages_per_hour, recipients_per_day=accounts.recipients_per_day, report=report)


def listeners_of(components: "Components", tls: ServerTls, services: "Services", admin_api: "Callable[[], Control]") -> Listeners:
    """Every listener of the settings, or those systemd passed, with its service behind it."""
    settings, limits = components.settings, components.settings.limits
    made = {"smtp": services.smtp, "imap": services.imap, "pop3": services.pop3, "http": lambda: services.web(tls, admin_api())}
    loading = trio.Lock()
    handlers = {name: LazyHandler(make, loading) for name, make in made.items()}
    handed = handed_listening_sockets(os.environ, os.getpid())
    return Listeners(
        not_handed(endpoints(settings), handed),
        {row.name: handlers[row.service] for row in PROTOCOLS},
        board=components.board,
        log=components.journal.log,
        tls=tls,
        handed=handed,
        options=ListenerOptions(
            connections=limits.connections, connections_per_source=limits.connections_per_address, drain_s=limits.drain_s
        ),
    )


class Services:
    """Makes each service with what it needs; called in a thread, one at a time (`LazyHandler`)."""

    def __init__(self, components: "Components", outbound: "Outbound", jmap: "JmapParts") -> None:
        self._components = components
        self._send_quota = jmap.send_quota
        self._outbound = outbound
        self._jmap = jmap
        self._auth = cache(self._make_auth)
        self._made: list[Callable[[], None]] = []
        """Give a service that was made its options again."""

    def settings_changed(self) -> None:
        """Of what takes effect at once (`live_settings`)."""
        for use in self._made:
            use()

    def _make_auth(self) -> "tuple[Login, Mechanisms]":
        from appliance.auth.mechanisms import Mechanisms

        login = self._components.login()
        return login, Mechanisms(login, plaintext_login=self._components.settings.accounts.plaintext_login)

    def smtp(self) -> "Handler":
        from appliance.smtpd.service import SmtpContext, SmtpOptions, SmtpService

        from .server_message import intake_of

        components, outbound = self._components, self._outbound

        def options() -> SmtpOptions:
            messages, smtp = components.settings.messages, components.settings.smtp
            return SmtpOptions(
                host_name=components.host_name(),
                message_octets=messages.largest_mb * MB,
                recipients=messages.recipients,
                forged_own_sender=messages.forged_own_sender,
                others_as_sender=messages.others_as_sender,
                sign_in_on_25=smtp.sign_in_on_25,
                greet_pause_s=smtp.greet_pause_s,
            )

        context = SmtpContext(
            intake=intake_of(components, outbound),
            directory=components.accounts.directory,
            mechanisms=self._auth()[1],
            board=components.board,
            clock=components.clock,
            options=options(),
            relay_check=outbound.relay_check,
            sending=self._send_quota,
            own_addresses=host_addresses,
        )
        service = SmtpService(context)
        self._made.append(lambda: service.use(options()))
        return service.handle

    def imap(self) -> "Handler":
        from appliance.imapd.service import ImapOptions, ImapService

        from .web_address import jmap_url

        components = self._components

        def options() -> ImapOptions:
            octets = components.settings.messages.largest_mb * MB
            return ImapOptions(host=components.host_name(), message_octets=octets, jmap_url=jmap_url(components))

        login, mechanisms = self._auth()
        service = ImapService(
            store=components.store,
            login=login,
            mechanisms=mechanisms,
            clock=components.clock,
            directory=components.accounts.directory,
            options=options(),
        )
        self._made.append(lambda: service.use(options()))
        return service.handle

    def pop3(self) -> "Handler":
        from appliance.pop3d.service import Pop3Options, Pop3Service

        def options() -> Pop3Options:
            return Pop3Options(mark_seen=self._components.settings.pop3.mark_seen)

        login, mechanisms = self._auth()
        service = Pop3Service(store=self._components.store, login=login, mechanisms=mechanisms, options=options())
        self._made.append(lambda: service.use(options()))
        return service.handle

    def web(self, tls: ServerTls, control: "Control") -> "Handler":
        from .web import web_service

        trio.from_thread.run(self._jmap.sessions.open)
        return web_service(self._components, tls, self._auth()[0], control, self._jmap).handle


class LazyHandler:
    """A service whose code is loaded, in a thread, when its first client comes."""

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
    """Every address of the `listen` section, in the order of the table of protocols."""
    return [Endpoint(row.name, *host_and_port(where)) for row in PROTOCOLS for where in settings.listen.addresses(row.name)]
