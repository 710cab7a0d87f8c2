"""A server that sends: a store with two accounts, the queue without its runner, and the JMAP service over them.

Ann (`ann@home.test`, also `info@` and, with Ben, `both@home.test`) calls the methods; `attempt` plays the runner's part.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from appliance.accounts.directory import Directory, read_tables
from appliance.accounts.send_quota import SendQuota
from appliance.database.database import Database
from appliance.database.writer import Transaction
from appliance.delivery.enqueuer import Enqueuer
from appliance.delivery.intake import Intake
from appliance.delivery.plan import PlanRules
from appliance.delivery.submission import SubmissionRules, Submitter
from appliance.jmap.service import JmapService, Sending
from appliance.mail.ids import AccountId
from appliance.mail.outcome import HostAttempt, Outcome
from appliance.protocol.imap.bodystructure import make_describe
from appliance.queue.entry import QueueEntry
from appliance.queue.queue import Queue
from appliance.queue.submissions import report_came
from appliance.store.bodies import Bodies
from appliance.store.observers import Observers
from appliance.store.store import Store
from appliance.store.values import Placement
from tests.support.accounts import Listener
from tests.support.clock import HandClock
from tests.support.routes import SomeRemoteAddresses

ANN, BEN = AccountId(1), AccountId(2)
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:submission"]
ACCOUNTS = ((1, "ann@home.test"), (2, "ben@home.test"))
ALIASES = (("info@home.test", "ann@home.test"), ("both@home.test", "ann@home.test"), ("both@home.test", "ben@home.test"))
DRAFT = b"From: Ann <ann@home.test>\r\nTo: bob@far.example\r\nSubject: hello\r\nBcc: ben@home.test\r\n\r\nwords\r\n"
HOST_ATTEMPT = HostAttempt("mx.far.example", "192.0.2.9", 25, "TLSv1.3", "X", "none", 0.5)


class FarRoutes:
    """Every domain has a destination of its own."""

    def destination(self, sender: Any, domain: str) -> str:
        return domain


class SendingServer:
    """`quota`: recipients outside a day. `rules`: of the submitter."""

    def __init__(self, store: Store, database: Database, quota: int, rules: SubmissionRules) -> None:
        self.store, self.database, self.clock = store, database, HandClock()
        self.directory = Directory()
        self.queue = Queue(database, store.bodies, self.clock, outbox=store.outboxes)
        store.outboxes.called_back = self.queue.expunged
        board: Any = Listener()
        is_local = self.directory.is_local
        intake = Intake(
            store=store,
            board=board,
            clock=self.clock,
            queue=Enqueuer(queue=self.queue, routes=FarRoutes(), is_local=is_local),  # type: ignore[arg-type]
            rules=PlanRules(is_local, address_of=self.directory.own_address),
        )
        sending = SendQuota(messages_per_hour=100, recipients_per_day=quota, report=lambda account, limited: None)
        self.submitter = Submitter(
            intake=intake, directory=self.directory, relay_check=SomeRemoteAddresses(), sending=sending, clock=self.clock, rules=rules
        )
        self.faults: list[str] = []
        self.service = JmapService(
            store,
            self.directory,
            lambda name, fault: self.faults.append(f"{name} {fault!r}"),
            Sending(self.submitter, self.queue, self.directory, self.clock),
        )

    async def add_alias(self, alias: str, target: str) -> None:
        statement = "INSERT INTO alias(address, target) VALUES (?, ?)"
        await self.database.write(lambda transaction: transaction.execute(statement, (alias, target)))
        await self.read_directory()

    async def read_directory(self) -> None:
        self.directory.swap(await self.database.read(lambda connection: read_tables(connection)))

    async def request(self, *calls: list[Any], account: AccountId = ANN) -> list[list[Any]]:
        octets = json.dumps({"using": USING, "methodCalls": calls}).encode()
        answer = json.loads(json.dumps(await self.service.api(octets, account)))
        assert not self.faults, self.faults
        responses: list[list[Any]] = answer["methodResponses"]
        return responses

    async def call(self, name: str, **arguments: Any) -> Any:
        (answered, found, _), *_ = await self.request([name, {"accountId": "A1", **arguments}, "c"])
        assert answered == name, found
        return found

    async def error(self, name: str, **arguments: Any) -> str:
        (answered, found, _), *_ = await self.request([name, {"accountId": "A1", **arguments}, "c"])
        assert answered == "error", found
        kind: str = found["type"]
        return kind

    async def draft(self, octets: bytes = DRAFT) -> str:
        """Ann's draft; the id of the Email."""
        async with self.store.receive(2**24) as incoming:
            await incoming.write(octets)
            mailbox = (await self.store.find(ANN, "Drafts")).id
            (placed,) = await self.store.file(await incoming.finish(), [Placement(mailbox, b"", ("\\Draft",), 1_700_000_000)])
        return f"M{placed.message}"

    async def identity(self) -> str:
        return str((await self.call("Identity/get"))["list"][0]["id"])

    async def send(self, email: str, **members: Any) -> Any:
        """The response to EmailSubmission/set with one creation, "s"."""
        return await self.call("EmailSubmission/set", create={"s": {"identityId": await self.identity(), "emailId": email, **members}})

    async def submission(self, one: str) -> Any:
        return (await self.call("EmailSubmission/get", ids=[one]))["list"][0]

    async def read(self, account: AccountId, mailbox: str = "INBOX") -> list[bytes]:
        """The messages of a mailbox."""
        opened = await self.store.open(account, mailbox, read_only=True)
        return [await (await opened.open_message(uid)).read(0, 4096) for uid in opened.uids]

    async def queued(self, destination: str = "far.example") -> list[QueueEntry]:
        return await self.queue.due(destination, 10)

    async def attempt(self, entry: QueueEntry, *outcomes: Outcome) -> None:
        result = self.queue.evaluate(entry, outcomes, (HOST_ATTEMPT,))
        describe = await self.store.scan(entry.body) if self.queue.will_show(result) else None
        await self.database.write(lambda transaction: self.queue.record(transaction, result, describe))

    async def octets_of(self, entry: QueueEntry) -> bytes:
        """What would be sent."""
        body = await self.store.bodies.open_body(entry.body)
        return entry.prefix + await body.read(0, entry.octets)


@asynccontextmanager
async def a_sending_server(directory: Path, *, quota: int = 100, rules: SubmissionRules | None = None) -> AsyncIterator[SendingServer]:
    async with await Database.open(directory / "pillarbox.db", migrate_in_child=False, lazy_s=0.02) as database:
        bodies = await Bodies.open(database, directory / "bodies")
        store = await Store.start(database, bodies, describe=make_describe, observers=Observers(appended=(report_came,)))
        if not await store.list(ANN):
            await database.write(lambda transaction: _fill(transaction, store))
        server = SendingServer(store, database, quota, rules or SubmissionRules("mail.home.test"))
        await server.queue.open()
        await server.read_directory()
        yield server


def _fill(transaction: Transaction, store: Store) -> None:
    transaction.execute("INSERT INTO domain(name) VALUES ('home.test')")
    transaction.executemany("INSERT INTO account(id, address, added_at) VALUES (?, ?, 0)", ACCOUNTS)
    transaction.executemany("INSERT INTO alias(address, target) VALUES (?, ?)", ALIASES)
    for account in (ANN, BEN):
        store.make_mailboxes(transaction, account)
