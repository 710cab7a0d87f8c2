"""The server's components in this process: real store, accounts and services over memory streams, on any clock, committing inline.

`async with some_components(directory) as components:` has the accounts named, each with its mailboxes; `components.connect("imap")`
starts one session of the protocol's real Service and gives the client's end.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from appliance.auth.mechanisms import Mechanisms
from appliance.mail.errors import PeerError
from appliance.mail.ids import AccountId
from appliance.network.stream import Stream
from appliance.protocol.imap.bodystructure import make_describe
from appliance.store.store import Store
from appliance.store.values import Placed, Placement

from .accounts import Family, a_family
from .streams import ClientStream, stream_pair

ACCOUNTS = ("fred@example.org", "mary@example.org")
PASSWORD = "Blurdybloop-7"
"""Of all accounts."""


@dataclass
class Components:
    """Components for tests of servers. `options` by protocol family ("imap", "smtp", "pop3") replace a Service's own."""

    family: Family
    store: Store
    nursery: trio.Nursery
    mechanisms: Mechanisms
    options: dict[str, Any] = field(default_factory=dict)
    tls: Any = None
    streams: list[Stream] = field(default_factory=list)
    clients: list[ClientStream] = field(default_factory=list)
    services: dict[str, Any] = field(default_factory=dict)

    def account(self, address: str = ACCOUNTS[0]) -> AccountId:
        found = self.family.accounts.directory.find_login(address)
        assert found is not None
        return found.id

    async def deliver(
        self, octets: bytes, mailbox: str = "INBOX", *, address: str = ACCOUNTS[0], flags: tuple[str, ...] = (), at: int = 1_700_000_000
    ) -> Placed:
        """Append a message as local delivery would."""
        info = await self.store.find(self.account(address), mailbox)
        async with self.store.receive(2**27) as incoming:
            await incoming.write(octets)
            return (await self.store.file(await incoming.finish(), [Placement(info.id, b"", flags, at)]))[0]

    def service(self, family: str) -> Any:
        """The Service of a protocol family, made once."""
        if family not in self.services:
            self.services[family] = _SERVICES[family](self, self.options.get(family))
        return self.services[family]

    def connect(self, protocol: str = "imap", *, peer: str = "192.0.2.7") -> ClientStream:
        """A new session; it ends with the block."""
        family = "smtp" if protocol.startswith("subm") else protocol.removesuffix("s")
        service = self.service(family)
        stream, client = stream_pair(protocol, peer=(peer, 40_000), tls=self.tls)
        self.streams.append(stream)
        self.clients.append(client)
        self.nursery.start_soon(_serve, service, stream)
        return client


async def _serve(service: Any, stream: Stream) -> None:
    """Run a session as the listener does, but let internal errors fail the test."""
    with suppress(PeerError):
        await service.handle(stream)
    await stream.aclose()


def _imap(components: Components, options: Any) -> Any:
    from appliance.imapd.service import ImapOptions, ImapService

    return ImapService(
        store=components.store, login=components.family.login, mechanisms=components.mechanisms, clock=components.family.clock,
        directory=components.family.accounts.directory, options=options or ImapOptions(host="mail.example.org"),
    )  # fmt: skip


def _pop3(components: Components, options: Any) -> Any:
    from appliance.pop3d.service import Pop3Options, Pop3Service

    return Pop3Service(
        store=components.store, login=components.family.login, mechanisms=components.mechanisms, options=options or Pop3Options()
    )


def _smtp(components: Components, options: Any) -> Any:
    from appliance.delivery.intake import Intake
    from appliance.delivery.rights import NO_REMOTE_ADDRESSES
    from appliance.smtpd.inspectors import INSPECTORS
    from appliance.smtpd.service import SmtpContext, SmtpOptions, SmtpService

    board: Any = components.family.board
    context = SmtpContext(
        intake=Intake(store=components.store, board=board, clock=components.family.clock),
        directory=components.family.accounts.directory,
        mechanisms=components.mechanisms,
        board=board,
        clock=components.family.clock,
        options=options or SmtpOptions(host_name="mail.example.org"),
        relay_check=components.options.get("relay_check", NO_REMOTE_ADDRESSES),
        sending=components.options.get("sending"),
        own_addresses=components.options.get("own_addresses", lambda: ()),
        inspectors=(*INSPECTORS, *components.options.get("inspectors", ())),
    )
    return SmtpService(context)


_SERVICES = {"imap": _imap, "pop3": _pop3, "smtp": _smtp}


@asynccontextmanager
async def some_components(
    directory: Path, *accounts: str, plaintext: bool = True, tls: Any = None, quota_octets: int | None = None, **options: Any
) -> AsyncIterator[Components]:
    """`plaintext`: passwords are taken without TLS. `options`: a Service's Options by family, as `imap=Options(...)`; SMTP's
    `relay_check`, `sending` quota, `own_addresses` of the interfaces and further
    `inspectors`."""
    from appliance.store.bodies import Bodies

    with a_family(directory, failure_s=0.0) as family:
        bodies = await Bodies.open(family.writer, directory / "bodies")
        quota_of = family.accounts.directory.quota_of
        store = await Store.start(family.writer, bodies, describe=make_describe, quota_of=quota_of, clock=family.clock)
        for address in accounts or ACCOUNTS:
            await family.accounts.add_account(address, PASSWORD, quota_octets=quota_octets, also=store.make_mailboxes)
        mechanisms = Mechanisms(family.login, plaintext_login=plaintext)
        async with trio.open_nursery() as nursery:
            components = Components(family, store, nursery, mechanisms, options, tls)
            yield components
            for client in components.clients:  # otherwise closing a server waits for them
                await trio.aclose_forcefully(client)
            nursery.cancel_scope.cancel()
