"""Messages find their way through a real name service to real mail servers, and bounces come back."""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
import trio

from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.network.dial import dial
from appliance.network.resolver import Resolver
from appliance.network.x509 import public_key_of
from appliance.outbound.mx import MailHosts, OwnHost
from appliance.outbound.smtp_client import ClientEnded, SmtpClient
from tests.support.clock import HandClock
from tests.support.needs import missing, program
from tests.support.server import Pillarbox, new_data, pillarbox
from tests.support.wire import PASSWORD, Imap, Smtp, eventually

from .internet import Host, Internet, inside, possible
from .names import Names
from .servers import MAKERS, Server


@dataclass
class World:
    pillarbox_server: Host
    servers: dict[str, Server]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if reason := possible():
        missing("a small Internet", reason)
    program("named", "bind9")
    program("dig", "bind9-dnsutils")
    with Internet() as internet:
        names, pillarbox_server = Names(internet.host("dns"), tmp_path_factory.mktemp("names")), internet.host("server")
        names.zone("exim.example", signed=True)
        names.zone("sick.example", broken=True)
        names.point("mail.home.example", pillarbox_server)
        servers = {}
        for name, make in MAKERS.items():
            host = internet.host(name)
            domain = f"{name}.example"
            servers[name] = make(host, domain, names.host.v4)
            names.point(f"mx.{domain}", host)
            names.add(f"{domain}. MX 10 mx.{domain}.")
        key = public_key_of(ssl.PEM_cert_to_DER_cert((servers["exim"].host.root / "etc/mail.pem").read_text()))
        names.add(f"_25._tcp.mx.exim.example. TLSA 3 1 1 {sha256(key).hexdigest()}")
        names.add("never.example. MX 0 .", "loop.example. MX 10 mail.home.example.", "poison.example. MX 10 inner.poison.example.")
        names.add("inner.poison.example. A 10.0.0.1")
        names.start()
        names.validator(pillarbox_server)
        try:
            yield World(pillarbox_server, servers)
        finally:
            names.stop()


def hosts(pillarbox_server: Host) -> MailHosts:
    clock = HandClock()
    return MailHosts(Resolver([("127.0.0.1", 53)], clock), clock, OwnHost(lambda: ("mail.home.example",), lambda: (pillarbox_server.v4,)))


def message_to(message: bytes, *recipients: str) -> OutgoingMessage:
    @asynccontextmanager
    async def chunks() -> AsyncIterator[AsyncIterator[bytes]]:
        async def each() -> AsyncIterator[bytes]:
            yield message

        yield each()

    addresses = [Address(*recipient.split("@")) for recipient in recipients]
    return OutgoingMessage("abc", Address("ada", "home.example"), tuple(map(Recipient, addresses)), len(message), chunks)


async def carry(pillarbox_server: Host, outgoing: OutgoingMessage, *, tls: bool) -> tuple[tuple[Outcome, ...], str]:
    """By MX to the first host, with STARTTLS where it is offered; the outcomes, and the version of TLS."""
    assert outgoing.recipients[0].address
    found = await hosts(pillarbox_server).find(outgoing.recipients[0].address.domain)
    assert isinstance(found, tuple), found
    stream = await dial(found[0].addresses[0], 25, timeout_s=10)
    try:
        conversation = SmtpClient(stream, found[0].name)
        await conversation.open("mail.home.example")
        if tls and conversation.offer.starttls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            await conversation.start_tls(context, found[0].name, "mail.home.example")
        outcomes = await conversation.transact(outgoing)
        await conversation.quit()
        return outcomes, stream.tls_version
    finally:
        await stream.aclose()


def message_about(words: str) -> bytes:
    lines = [f"From: ada@home.example\r\nTo: bob@far.example\r\nSubject: {words}\r\n\r\n{words}", ".", "..", "From here", "", "the end", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("name", ["postfix", "exim"])
def test_a_message_reaches_a_real_server_over_tls(world: World, name: str) -> None:
    message = message_about(f"for {name}")
    with inside(world.pillarbox_server.space):
        outcomes, tls = trio.run(lambda: carry(world.pillarbox_server, message_to(message, f"bob@{name}.example"), tls=True))
    assert [one.action for one in outcomes] == [DsnAction.RELAYED] and tls == "TLSv1.3", outcomes
    kept = world.servers[name].message_with(f"for {name}".encode())
    assert kept.replace(b"\r\n", b"\n").endswith(message.replace(b"\r\n", b"\n"))


def test_a_server_with_broken_tls_accepts_plain_text(world: World) -> None:
    message = message_about("for opensmtpd")
    outgoing = message_to(message, "bob@opensmtpd.example")
    with inside(world.pillarbox_server.space):
        with pytest.raises(ClientEnded) as end:
            trio.run(lambda: carry(world.pillarbox_server, outgoing, tls=True))
        assert end.value.outcome.reason is Reason.TLS and end.value.outcome.action is DsnAction.DEFERRED
        outcomes, tls = trio.run(lambda: carry(world.pillarbox_server, outgoing, tls=False))
    assert outcomes[0].action is DsnAction.RELAYED and tls == "", outcomes
    assert world.servers["opensmtpd"].message_with(b"for opensmtpd").replace(b"\r\n", b"\n").endswith(message.replace(b"\r\n", b"\n"))


def test_each_recipient_has_the_real_servers_reply(world: World) -> None:
    outgoing = message_to(message_about("for some"), "bob@exim.example", "full@exim.example", "later@exim.example", "stranger@exim.example")
    with inside(world.pillarbox_server.space):
        outcomes, _ = trio.run(lambda: carry(world.pillarbox_server, outgoing, tls=True))
    assert [one.action for one in outcomes] == [
        DsnAction.RELAYED,
        DsnAction.FAILED,
        DsnAction.DEFERRED,
        DsnAction.FAILED,
    ]
    assert "Mailbox full" in str(outcomes[1].reply) and "Come back later" in str(outcomes[2].reply)
    assert world.servers["exim"].message_with(b"for some")


@pytest.mark.parametrize(
    ("domain", "status"),
    [("nowhere", "5.1.2"), ("never", "5.1.10"), ("sick", "4.4.3"), ("loop", "5.4.6"), ("poison", "5.4.4")],
)
def test_no_route_is_refused_or_deferred(world: World, domain: str, status: str) -> None:
    async def find() -> object:
        return await hosts(world.pillarbox_server).find(f"{domain}.example")

    with inside(world.pillarbox_server.space):
        found = trio.run(find)
    assert isinstance(found, Outcome) and found.status == status


def test_answers_of_a_signed_zone_are_validated(world: World) -> None:
    async def find(domain: str) -> bool:
        found = await hosts(world.pillarbox_server).find(domain)
        assert isinstance(found, tuple)
        return found[0].secure

    with inside(world.pillarbox_server.space):
        assert trio.run(find, "exim.example") and not trio.run(find, "postfix.example")


def test_the_running_server_sends_to_all_of_them(world: World, tmp_path: Path) -> None:
    """The real command in its own place of the small Internet: DANE, opportunistic TLS, plain text after broken TLS, a bounce."""
    data = new_data(tmp_path / "data")
    settings = tmp_path / "pillarbox.toml"
    settings.write_text('[sending]\nname_servers = "127.0.0.1"\nretry_first_s = 1\nretry_most_s = 2\ncheck_port_25 = false\n')
    to = ("bob@postfix.example", "bob@exim.example", "bob@opensmtpd.example", "stranger@exim.example")
    with inside(world.pillarbox_server.space), Pillarbox(data, "--settings", str(settings)) as pillarbox_server:
        with Smtp(pillarbox_server.ports["submission"]) as smtp:
            smtp.sign_in("ada@home.example", PASSWORD)
            for line in ("MAIL FROM:<ada@home.example>", *(f"RCPT TO:<{one}>" for one in to), "DATA"):
                assert smtp.ask(line.encode())[:1] in b"23"
            smtp.send(message_about("from the server") + b".\r\n")
            name = smtp.reply().split()[-1].rstrip(b".").decode()
        for server in world.servers.values():
            kept = server.message_with(b"from the server")
            assert kept.count(b"DKIM-Signature:") == 2, kept[:600]

        def bounced() -> bool:
            with Imap(pillarbox_server.ports["imap"], select="INBOX") as imap:
                return any(b"stranger@exim.example" in row for row in imap.run(b"FETCH 1:* BODY.PEEK[]")[0])

        assert eventually(bounced)
        history = pillarbox("message", "track", name, data=data).stdout
        assert "verified by dane" in history and history.count("sent to") == 3 and "no TLS" in history, history
