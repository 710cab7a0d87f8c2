"""A server that pushes: the one that sends, with push subscriptions and a push service of the test's own on the loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from appliance.accounts.push_subscriptions import Credentials, PushSubscriptions
from appliance.jmap.push_client import PushClient
from appliance.jmap.push_encryption import VapidSigner
from appliance.jmap.push_sender import PushSender
from appliance.jmap.pushing import Pushing
from appliance.jmap.service import JmapService, Sending
from appliance.mail.ids import AccountId
from appliance.network.public_dial import PublicDialer
from appliance.runtime.vapid_key_file import VapidKey, VapidKeyFile
from appliance.runtime.vapid_key_file import main as make_key
from tests.support.certificates import TestCertificates
from tests.support.push_receiver import Receiver
from tests.support.push_service import PushService

from .sending import ANN, BEN, SendingServer, a_sending_server

PHONE, SESSION = Credentials(7), Credentials(0, b"digest")
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]


class PushingServer:
    """`live`: credentials that are good. `services`: the push service behind each name."""

    def __init__(self, server: SendingServer, directory: Path, certificates: TestCertificates, services: dict[str, PushService]) -> None:
        self.server = server
        self.live = {(ANN, PHONE), (ANN, SESSION), (BEN, PHONE)}
        self.key_file = VapidKeyFile(directory / "keys")
        if not (directory / "keys").exists():
            assert make_key([str(directory / "keys")]) == 0
        self.subscriptions = PushSubscriptions(server.database, server.clock, lambda account, used: (account, used) in self.live)
        self.service = JmapService(
            server.store, server.directory, self._report, Sending(server.submitter, server.queue, server.directory, server.clock),
            Pushing(self.subscriptions, self.key_file, server.clock),
        )  # fmt: skip
        self.faults: list[str] = []
        self.logged: list[str] = []
        self.resolved: list[str] = []
        self._certificates, self._services = certificates, services

    def _report(self, name: str, fault: BaseException) -> None:
        self.faults.append(f"{name} {fault!r}")

    async def sender(self) -> PushSender:
        key: VapidKey = await self.key_file.key()

        async def resolve(name: str) -> tuple[str, ...]:
            self.resolved.append(name)
            return ("127.0.0.1",)

        async def no_addresses() -> tuple[str, ...]:
            return ()

        class Dialer(PublicDialer):
            """Each name at the port of its push service."""

            async def connect(dialer, host: str, port: int, *, tls: bool) -> Any:
                dialer._ports = {443: self._services[host].port}
                return await super().connect(host, port, tls=tls)

        dialer = Dialer(resolve, no_addresses, self._certificates.client, may_dial=lambda one: one == "127.0.0.1")
        client = PushClient(dialer, lambda: VapidSigner(key.public, key.pem, "mailto:postmaster@home.test"), self.server.clock)
        return PushSender(self.service, self.subscriptions, client, server_key=key.public, report=self._report, log=self.logged.append)

    async def call(self, name: str, *, account: AccountId = ANN, credentials: Credentials | None = PHONE, **arguments: Any) -> Any:
        import json

        octets = json.dumps({"using": USING, "methodCalls": [[name, arguments, "c"]]}).encode()
        answer = json.loads(json.dumps(await self.service.api(octets, account, credentials)))
        ((answered, found, _),) = answer["methodResponses"]
        return found if answered == name else found["type"]

    async def create(self, url: str = "https://push.example/a?b=1", receiver: Receiver | None = None, **members: Any) -> Any:
        """A subscription of Ann's phone: what became of it."""
        credentials = members.pop("credentials", PHONE)
        keys = {"keys": receiver.keys} if receiver is not None else {}
        new = {"deviceClientId": "phone", "url": url, **keys, **members}
        found = await self.call("PushSubscription/set", credentials=credentials, create={"new": new})
        return found["created"]["new"] if found["created"] else found["notCreated"]["new"]

    async def verify(self, number: str, code: str, credentials: Credentials = PHONE) -> Any:
        update = {number: {"verificationCode": code}}
        found = await self.call("PushSubscription/set", credentials=credentials, update=update)
        return found["notUpdated"][number] if found["notUpdated"] else found["updated"][number]


@asynccontextmanager
async def a_pushing_server(
    directory: Path, certificates: TestCertificates, services: dict[str, PushService], *, sends: bool = True
) -> AsyncIterator[PushingServer]:
    async with a_sending_server(directory) as server, trio.open_nursery() as nursery:
        pushing = PushingServer(server, directory, certificates, services)
        if sends:
            nursery.start_soon((await pushing.sender()).run)
        yield pushing
        nursery.cancel_scope.cancel()
        assert not pushing.faults, pushing.faults
