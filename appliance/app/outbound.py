"""Outbound mail put together: routes, queue, runner, DSN generator, and the transports the runner passes messages to.

What only an outgoing message needs (resolver, TLS policies, DKIM signer, SMTP client) is loaded when the first one is sent: a
server that only receives pays nothing for it.
"""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from appliance.config.settings import SendingSettings, host_and_port
from appliance.delivery.enqueuer import Enqueuer
from appliance.delivery.executor import PlanExecutor
from appliance.delivery.local_transport import LocalTransport, TransportSwitch
from appliance.delivery.plan import PlanRules
from appliance.delivery.route import Relay
from appliance.delivery.sender_rewriting import SenderRewriting
from appliance.mail.address import Address, ascii_domain
from appliance.mail.errors import SetupError
from appliance.mail.limits import MB
from appliance.mail.outcome import Outcome
from appliance.mail.protocols import GREETINGS, PROTOCOLS
from appliance.mail.sentence import Sentence
from appliance.outbound.port25 import Port25Monitor, describe
from appliance.outbound.queue_state import QueueStatePublisher
from appliance.outbound.recorder import OutcomeRecorder
from appliance.outbound.relay_check import RelayCheck
from appliance.outbound.relay_sizes import RelaySizes
from appliance.outbound.routing import Routes
from appliance.outbound.runner import Limits, Runner
from appliance.queue.admin import QueueAdmin
from appliance.queue.history import HistoryLimits
from appliance.queue.queue import Queue
from appliance.queue.schedule import Intervals
from appliance.runtime.dkim_key_files import DkimFiles
from appliance.runtime.host import host_addresses
from appliance.status.events import OutboundState

from .relay import relay_rule
from .signing import DkimSigning, KeyMemory, unsigned

if TYPE_CHECKING:
    from appliance.accounts.directory import Directory
    from appliance.database.writer import Transaction
    from appliance.delivery.generated import DsnGenerator
    from appliance.delivery.transport import Transport
    from appliance.dns_setup.records import DomainFacts as DnsFacts
    from appliance.mail.envelope import Recipient
    from appliance.network.resolver import Resolver
    from appliance.outbound.mx import MailHosts
    from appliance.queue.entry import QueueEntry

    from .components import Components
    from .port_check import PortFinding, PortProbe

STANDARD_PORTS = {row.trial_port: row.port for row in PROTOCOLS}
"""The default ports of a server tried out without rights, and the standard ports that other programs use."""
SRS_SECRET = "srs_secret"  # noqa: S105 - the name of a row
SECRET_OCTETS = 32
SIGNING_LOOK_S = 60.0
"""How often unreadable signing keys are tried again; keys that were read once are not."""


class Outbound:
    """Made by `open`; `run` and `drain` are the supervisor's, the rest is for intake, SMTP and the admin API."""

    def __init__(self, components: "Components", secret: bytes) -> None:
        self._components = components
        settings, directory = components.settings.sending, components.accounts.directory
        self.routes = Routes(
            [relay_rule(one) for one in components.settings.relay],
            direct=settings.direct,
            after_refusals=settings.after_refusals,
            is_account=lambda address, account: _comes_to(directory, address, account),
        )
        self.queue = Queue(
            components.database,
            components.bodies,
            components.clock,
            intervals=_intervals(settings),
            keep=HistoryLimits(settings.history_days, settings.history_entries),
            outbox=components.store.outboxes,
        )
        self.queue_admin = QueueAdmin(self.queue)
        components.store.outboxes.called_back = self.queue.expunged
        rewriting = SenderRewriting(secret, components.clock)
        self.relay_check = RelayCheck(routes=self.routes, rewriting=rewriting, holds=True)
        self.enqueuer = Enqueuer(queue=self.queue, routes=self.routes, is_local=directory.is_local)
        self.rules = PlanRules(directory.is_local, rewriting.rewrite, directory.own_address)
        self.listening: Callable[[], Iterable[tuple[str, int]]] = tuple
        """The addresses and ports of this server's listeners; the composition root sets it."""
        self._port25_changed = trio.Event()
        self._key_memory = KeyMemory(components.database, components.board)
        self.dkim = DkimFiles(components.directory.path / "dkim", log=components.journal.log, loaded=self._key_memory.look)
        self._resolver: Resolver | None = None
        self._hosts: MailHosts | None = None
        self._relay_sizes = RelaySizes(components.database)
        self.port25 = Port25Monitor(self.hosts, components.clock, self._note_port25, port=settings.port)
        self._dsn: DsnGenerator | None = None
        recorder = OutcomeRecorder(
            queue=self.queue,
            other_destination=self.routes.other_destination,
            dsn=self.dsn,
            store=components.store,
            board=components.board,
            clock=components.clock,
        )
        self.runner = Runner(
            queue=self.queue,
            routes=self.routes,
            transport=lambda: TransportSwitch(self._local, self._remote),
            recorder=recorder,
            state=QueueStatePublisher(self.queue, components.board, components.clock),
            store=components.store,
            limits=Limits(settings.sessions, settings.sessions_per_domain),
        )

    def settings_changed(self) -> None:
        """Of what takes effect at once (`live_settings`)."""
        settings = self._components.settings.sending
        self.queue.intervals = _intervals(settings)
        self.queue.keep = HistoryLimits(settings.history_days, settings.history_entries)
        self.runner.limits = Limits(settings.sessions, settings.sessions_per_domain)

    @classmethod
    async def open(cls, components: "Components", *, moving: bool = True) -> "Outbound":
        """With the queue read. `moving`: entries whose route is no longer configured are routed again."""
        outbound = cls(components, await _secret(components))
        await outbound.queue.open()
        if moving:
            await outbound.queue_admin.reassign_destinations(outbound.routes.is_routable, outbound.enqueuer.destination_of)
        return outbound

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """For ever; can be run again after a crash."""
        task_status.started()
        self._publish_port25()
        async with trio.open_nursery() as nursery:
            if self._components.settings.sending.check_port_25 and self._components.settings.sending.direct != "never":
                on_25 = any(where.endswith(":25") for where in self._components.settings.listen.addresses("smtp"))
                nursery.start_soon(partial(self.port25.run, at_start=on_25))
            nursery.start_soon(self._reassign_on_change)
            if self._components.settings.sending.sign:
                nursery.start_soon(self._watch_signing)
            await self.runner.run()
            nursery.cancel_scope.cancel()

    async def _watch_signing(self) -> None:
        """Keys that cannot be read, or are gone, are a condition from the start, not only once a message was sent."""
        reported, seen = "", None
        while True:
            problem = ""
            try:
                keys = await self.dkim.present()
                if keys != seen:
                    await self._key_memory.look(keys)
                    seen = keys
            except SetupError as error:
                problem = error.problem
            if problem != reported:
                self._components.board.publish(unsigned(reported := problem))
            await trio.sleep(SIGNING_LOOK_S)

    async def drain(self) -> None:
        self.runner.drain()

    # --- for the admin API -----------------------------------------------------------------------

    def due_at(self, entry: "QueueEntry") -> int:
        """When an entry is tried next, UTC seconds; 0 for one that is held."""
        return 0 if entry.held else int(self._components.clock.wall_s() + max(0.0, entry.due_at - self.queue.now()))

    def destination_by(self, route: str) -> "Callable[[QueueEntry, Recipient], str]":
        """The destination of each recipient over the route `route`: "direct" or a relay's name. Raises SetupError."""
        if route == "direct":
            return lambda entry, recipient: ascii_domain(recipient.address.domain) if recipient.address else entry.destination
        if route not in self.routes.names():
            known = ", ".join(("direct", *self.routes.names()))
            raise SetupError(
                Sentence('There is no relay "%(route)s".', route=route),
                Sentence("Choose from %(known)s; relays are named in the settings, [[relay]].", known=known),
            )
        return lambda entry, recipient: f"@{route}"

    async def about(self, name: str) -> "DnsFacts":
        """What is to be published for a domain; "" is the first one. Raises SetupError."""
        from appliance.accounts.domains import read_domain
        from appliance.dns_setup.records import DomainFacts
        from appliance.mailauth.dkim_keys import records

        components = self._components
        domain = read_domain(name) if name else next(iter(components.domains), "")
        if domain not in components.domains:
            known = ", ".join(components.domains) or "none yet"
            raise SetupError(
                Sentence('"%(name)s" is not a domain of this server (%(known)s).', name=name, known=known),
                "To add it: pillarbox domain add NAME",
            )
        listen, wire = components.settings.listen, ascii_domain(domain)
        services = [(row.name, host_and_port(found[0])[1]) for row in PROTOCOLS if (found := listen.addresses(row.name))]
        return DomainFacts(
            domain=wire,
            host_name=ascii_domain(components.host_name()),
            addresses=tuple(address for address in host_addresses() if is_global(address)),
            services=tuple((protocol, STANDARD_PORTS.get(port, port)) for protocol, port in services),
            dkim=tuple(records(await self.dkim.ensure())) if components.settings.sending.sign else (),
            relays=tuple(one.spf for one in components.settings.relay if one.spf),
            postmaster=f"postmaster@{wire}",
        )

    async def records_shown(self) -> None:
        """The records of `about` were shown to be published, or are published."""
        await self._key_memory.shown(self.dkim.keys)

    def route_text(self, route: str) -> str:
        return "directly to the other server" if route == "direct" else f"by the relay {route}"

    # --- outbound connectivity -------------------------------------------------------------------

    def probes(self) -> "list[PortProbe]":
        """Probes of outbound connectivity: each relay, and port 25 of servers on the internet."""
        return [*(partial(self._probe_relay, relay) for relay in self.routes.relays()), self._probe_port25]

    async def _probe_relay(self, relay: Relay) -> "PortFinding":
        from .port_check import PortFinding, probe

        where, hosts = f"{relay.name}, {relay.host}:{relay.port}", await self.hosts().relay(relay.host, relay.port)
        if isinstance(hosts, Outcome):
            return PortFinding("relay", where, "closed", hosts.text)
        return await probe("relay", where, hosts[0].addresses[0], relay.port, tls=relay.security == "tls", greeting=GREETINGS["smtp"])

    async def _probe_port25(self) -> "PortFinding":
        """Connects to the outside only where messages may be sent directly."""
        from .port_check import PortFinding

        settings = self._components.settings.sending
        port_25 = await self.port25.probe() if settings.check_port_25 and settings.direct != "never" else self.port25.port_25
        state = "closed" if port_25 == "blocked" else port_25
        return PortFinding("outbound", "", state, describe(port_25, self.routes.route))

    def _note_port25(self, port_25: str) -> None:
        was, self.routes.port25_blocked = self.routes.port25_blocked, port_25 == "blocked"
        self._publish_port25()
        if was != self.routes.port25_blocked:
            self._port25_changed.set()

    def _publish_port25(self) -> None:
        port_25, route = self.port25.port_25, self.routes.route
        self._components.board.publish(OutboundState(port_25, route, describe(port_25, route)))

    async def _reassign_on_change(self) -> None:
        """Queue entries are routed again as soon as it is known that port 25 is, or is no longer, blocked."""
        while True:
            await self._port25_changed.wait()
            self._port25_changed = trio.Event()
            await self.queue_admin.reassign_destinations(self.routes.is_routable, self.enqueuer.destination_of)
            if not self.routes.port25_blocked:
                await self.queue_admin.flush()

    def dsn(self) -> "DsnGenerator":
        """The one DSN generator of the server, so that its limits hold."""
        if self._dsn is None:
            from appliance.delivery.generated import DsnGenerator

            components = self._components
            self._dsn = DsnGenerator(
                store=components.store,
                directory=components.accounts.directory,
                clock=components.clock,
                host_name=components.host_name(),
                queue=self.enqueuer,
                has_route=self.relay_check.has_route,
                original=self.relay_check.original,
            )
        return self._dsn

    async def largest_octets(self, sender: Address) -> int:
        """Of a message that this sender can send to others, as far as this server and its relay say. Raises StoreError."""
        own = self._components.settings.messages.largest_mb * MB
        destination = self.routes.destination(sender, "") or ""
        return min(own, await self._relay_sizes.of(destination[1:]) or own) if destination.startswith("@") else own

    def resolver(self) -> "Resolver":
        """The one DNS resolver of the server, with its cache."""
        if self._resolver is None:
            from appliance.network.resolver import Resolver, servers_of

            settings = self._components.settings.sending
            named = tuple(_server(text) for text in settings.name_servers)
            self._resolver = Resolver(
                named or servers_of(Path("/etc/resolv.conf")), self._components.clock, trusted=settings.trusted_name_servers
            )
        return self._resolver

    def hosts(self) -> "MailHosts":
        """The mail hosts (MX) of a domain."""
        if self._hosts is None:
            from appliance.outbound.mx import MailHosts, OwnHost

            components = self._components
            self._hosts = MailHosts(
                self.resolver(),
                components.clock,
                OwnHost(
                    names=lambda: (components.host_name(), *components.domains),
                    addresses=lambda: ("127.0.0.1", "::1", *host_addresses()),
                    listening=lambda: self.listening(),
                ),
                port=components.settings.sending.port,
                private=components.settings.sending.private_addresses,
            )
        return self._hosts

    def _local(self) -> "Transport":
        components = self._components
        executor = PlanExecutor(components.store, self.enqueuer, components.clock)
        return LocalTransport(store=components.store, directory=components.accounts.directory, executor=executor, rules=self.rules)

    def _remote(self) -> "Transport":
        from appliance.mailauth.dkim_sign import Signer
        from appliance.outbound.mta_sts import StsPolicies, fetcher
        from appliance.outbound.preparation import Preparation
        from appliance.outbound.smtp_transport import SmtpTransport
        from appliance.outbound.tls_policy import TlsPolicies, make_context

        components, settings, directory = self._components, self._components.settings.sending, self._components.accounts.directory

        names = self.resolver()
        policies = StsPolicies(
            names=names, database=components.database, clock=components.clock, fetch=fetcher(names, lambda: make_context("verify"))
        )

        def same_account(sender: Address, address: Address) -> bool:
            accounts = directory.resolve(sender).accounts if directory.is_local(sender.domain) else ()
            return directory.is_local(address.domain) and any(account in accounts for account in directory.resolve(address).accounts)

        signer = DkimSigning(self.dkim, Signer(lambda: self.dkim.keys, components.clock), components.board) if settings.sign else None
        transport = SmtpTransport(
            hosts=self.hosts(),
            our_name=lambda: ascii_domain(components.host_name()),
            clock=components.clock,
            port=settings.port,
            reached=self.port25.record_attempt,
            policies=TlsPolicies(names=names, database=components.database, clock=components.clock, policies=policies, port=settings.port),
            preparation=Preparation(signer, same_account),
        )
        transport.relay_size = self._relay_sizes.note
        return transport


def _intervals(settings: SendingSettings) -> Intervals:
    return Intervals(settings.retry_first_s, settings.retry_most_s, settings.give_up_s, settings.delay_notification_s)


def _comes_to(directory: "Directory", address: Address, account: str) -> bool:
    found = directory.find_login(account)
    return found is not None and directory.is_local(address.domain) and found.id in directory.resolve(address).accounts


def is_global(address: str) -> bool:
    """Is it an address that the internet can reach?"""
    from ipaddress import ip_address

    return ip_address(address).is_global


def _server(text: str) -> tuple[str, int]:
    address, _, port = text.partition("#")
    return address, int(port or 53)


async def _secret(components: "Components") -> bytes:
    """The key of rewritten senders (SRS); made once in a server's life."""

    def look(connection: object) -> bytes | None:
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (SRS_SECRET,)).fetchone()  # type: ignore[attr-defined]
        return bytes(row[0]) if row else None

    found = await components.database.read(look)
    if found is not None:
        return found
    secret = os.urandom(SECRET_OCTETS)

    def keep(transaction: "Transaction") -> None:
        transaction.execute("INSERT INTO meta(key, value) VALUES (?, ?)", (SRS_SECRET, secret))

    await components.database.write(keep)
    return secret
