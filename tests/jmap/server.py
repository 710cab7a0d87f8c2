"""A store with one account's mail and the JMAP methods over it, called as a client calls them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from appliance.database.database import Database
from appliance.jmap.api import JmapApi
from appliance.jmap.blob_facts import BLOB
from appliance.jmap.blobs import Blobs
from appliance.jmap.ids import encode_id
from appliance.jmap.mailbox import MAIL
from appliance.jmap.method import CORE, Caller, JmapAccount
from appliance.jmap.quota import QUOTA
from appliance.jmap.service import mail_methods
from appliance.mail.ids import AccountId, MailboxId
from appliance.protocol.imap.bodystructure import make_describe
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.bodies import Bodies
from appliance.store.scope import own
from appliance.store.store import Store
from appliance.store.values import Placed, Placement
from tests.support.clock import HandClock

ANN, BEN = AccountId(1), AccountId(2)
A1 = "A1"
CALLER = Caller(ANN, "ann@home.test", (JmapAccount(A1, ANN, "ann@home.test"), JmapAccount("A2", BEN, "ben@home.test", False, True)))


class JmapClient:
    """Calls methods; `call` gives the arguments of the one response."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self.store, self.limits = store, limits
        self.faults: list[str] = []
        self.signed_in: Caller | None = None
        self._api = JmapApi(
            mail_methods(store, limits),
            {MAIL: {}, BLOB: {}, QUOTA: {}},
            limits=limits,
            report=lambda name, fault: self.faults.append(f"{name} {fault!r}"),
        )

    def caller(self, account: AccountId) -> Caller:
        """Who is signed in to this account, as `JmapService` makes it."""
        own = JmapAccount(encode_id("A", account), account, "ann@home.test" if account == ANN else "ben@home.test")
        others = [
            JmapAccount(encode_id("A", one.account), one.account, "", is_personal=False, read_only=not one.can_change, viewer=account)
            for one in self.store.shared_accounts.of(account)
        ]
        return Caller(account, own.name, (own, *others))

    async def request(self, *calls: list[Any], **members: Any) -> list[list[Any]]:
        octets = json.dumps({"using": [CORE, MAIL, BLOB, QUOTA], "methodCalls": calls} | members).encode()
        answer = json.loads(json.dumps(await self._api.handle(octets, self.signed_in or CALLER)))
        assert not self.faults, self.faults
        responses: list[list[Any]] = answer["methodResponses"]
        return responses

    async def call(self, name: str, **arguments: Any) -> Any:
        ((answered, found, _),) = await self.request([name, {"accountId": A1, **arguments}, "c"])
        assert answered == name, found
        return found

    async def error(self, name: str, **arguments: Any) -> str:
        ((answered, found, _),) = await self.request([name, {"accountId": A1, **arguments}, "c"])
        assert answered == "error", found
        kind: str = found["type"]
        return kind

    async def mailbox(self, name: str, account: AccountId = ANN) -> MailboxId:
        return (await self.store.find(account, name)).id

    async def mailbox_id(self, name: str) -> str:
        return encode_id("F", await self.mailbox(name))

    async def upload(self, octets: bytes, media_type: str = "application/octet-stream", account: AccountId = ANN) -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield octets

        return f"U{(await self.store.uploads.keep(account, chunks(), 2**24, media_type)).id}"

    async def octets(self, blob: str, account: AccountId = ANN) -> bytes:
        found = await Blobs(self.store).find(own(account), blob)
        assert found is not None, blob
        return b"".join([chunk async for chunk in found.chunks])

    async def append(self, octets: bytes, *names: str, flags: tuple[str, ...] = (), at: int = 1_700_000_000) -> Placed:
        async with self.store.receive(2**24) as incoming:
            await incoming.write(octets)
            places = [Placement(await self.mailbox(name), b"", flags, at) for name in names or ("INBOX",)]
            return (await self.store.file(await incoming.finish(), places))[0]


@asynccontextmanager
async def a_client(directory: Path, limits: JmapLimits | None = None, quota: int | None = None) -> AsyncIterator[JmapClient]:
    async with await Database.open(directory / "pillarbox.db", migrate_in_child=False, lazy_s=0.02) as database:
        bodies = await Bodies.open(database, directory / "bodies")
        store = await Store.start(database, bodies, describe=make_describe, quota_of=lambda _: quota, clock=HandClock())
        if not await store.list(ANN):
            await database.write(lambda transaction: (store.make_mailboxes(transaction, ANN), store.make_mailboxes(transaction, BEN)))
        yield JmapClient(store, limits or JmapLimits())
