"""SMTP client sessions over real sockets: with a server that misbehaves at every step, and with another implementation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.errors import PeerError
from appliance.mail.options import EnvelopeOptions
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.network.dial import dial
from appliance.outbound.smtp_client import ClientEnded, SmtpClient
from tests.support.peer import DROP, ENDLESS, QUICK, SILENT, Peer
from tests.support.server import free_ports

MESSAGE = b"From: ada@home.example\r\nSubject: dots\r\n\r\n.\r\n..two\r\nwords\r\n"


def message_to(*names: str, message: bytes = MESSAGE, **words: object) -> OutgoingMessage:
    @asynccontextmanager
    async def chunks() -> AsyncIterator[AsyncIterator[bytes]]:
        async def each() -> AsyncIterator[bytes]:
            for start in range(0, len(message), 7):
                yield message[start : start + 7]

        yield each()

    recipients = tuple(Recipient(Address(name, "far.example")) for name in names or ("bob",))
    return OutgoingMessage("abc", Address("ada", "home.example"), recipients, len(message), chunks, options=EnvelopeOptions(**words))  # type: ignore[arg-type]


async def send_all(peer: Peer, *outgoing_messages: OutgoingMessage) -> list[Outcome]:
    """All outcomes; a session that ends before the first transaction has one for every recipient."""
    stream = await dial("127.0.0.1", peer.port, timeout_s=5)
    client = SmtpClient(stream, "mx.far.example", QUICK)
    outcomes: list[Outcome] = []
    try:
        await client.open("home.example")
        for outgoing in outgoing_messages:
            outcomes += await client.transact(outgoing)
        await client.quit()
    except ClientEnded as end:
        outcomes += [end.outcome] * sum(len(outgoing.recipients) for outgoing in outgoing_messages)
    finally:
        await stream.aclose()
    return outcomes


@pytest.mark.parametrize("offer", [("PIPELINING", "8BITMIME"), ("8BITMIME",), ()])
async def test_messages_arrive_unchanged_on_one_connection(offer: tuple[str, ...]) -> None:
    with Peer(offer=offer) as peer:
        outcomes = await send_all(peer, message_to("bob", "eve"), message_to("joe"))
    assert [one.action for one in outcomes] == [DsnAction.RELAYED] * 3 and peer.connections == 1
    assert [(one.sender, one.recipients, one.octets) for one in peer.messages] == [
        ("ada@home.example", ["bob@far.example", "eve@far.example"], MESSAGE), ("ada@home.example", ["joe@far.example"], MESSAGE)
    ]  # fmt: skip
    assert str(outcomes[0].reply) == "250 2.0.0 queued as 1" and outcomes[0].host == "mx.far.example"


@pytest.mark.parametrize("pipelining", [True, False])
async def test_each_recipient_has_its_own_outcome(pipelining: bool) -> None:
    script: dict[str, str | list[str]] = {"RCPT eve@far.example": "550 5.1.1 no such user", "RCPT joe@far.example": "451 4.7.1 greylisted"}
    with Peer(offer=("PIPELINING",) if pipelining else (), script=script) as peer:
        bob, eve, joe = await send_all(peer, message_to("bob", "eve", "joe"))
    assert (bob.action, eve.action, joe.action) == (
        DsnAction.RELAYED,
        DsnAction.FAILED,
        DsnAction.DEFERRED,
    )
    assert (eve.status, eve.reason, joe.status, joe.reason) == ("5.1.1", Reason.REFUSED, "4.7.1", Reason.NOT_NOW)
    assert [one.recipients for one in peer.messages] == [["bob@far.example"]]


STEPS = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "MESSAGE")


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("said", ["450 4.2.0 later", "550 5.0.0 never", DROP, SILENT, "421 4.3.2 closing"])
async def test_every_step_may_go_wrong(step: str, said: str, pipelining: bool) -> None:
    action = DsnAction.FAILED if said.startswith("550") else DsnAction.DEFERRED
    script: dict[str, str | list[str]] = {step: said}
    if step == "EHLO":
        script["HELO"] = said
    with Peer(offer=("PIPELINING",) if pipelining else (), script=script) as peer:
        (outcome,) = await send_all(peer, message_to())
    assert outcome.action is action and outcome.status[0] == ("5" if action is DsnAction.FAILED else "4") and not peer.messages
    if said in (DROP, SILENT):
        assert outcome.reason is (Reason.UNSURE if step == "MESSAGE" else Reason.LOST if said == DROP else Reason.NO_ANSWER)


@pytest.mark.parametrize("said", ["ehlo there", ENDLESS, "250", "\x00\x00", "999 what"])
async def test_invalid_replies_defer(said: str) -> None:
    with Peer(script={"MAIL": said}) as peer:
        (outcome,) = await send_all(peer, message_to())
    assert outcome.action is DsnAction.DEFERRED or said == "250"


async def test_after_a_refusal_the_connection_serves_the_next_message() -> None:
    with Peer(script={"RCPT bob@far.example": "550 5.1.1 nobody"}) as peer:
        bob, eve = await send_all(peer, message_to("bob"), message_to("eve"))
    assert (bob.action, eve.action) == (DsnAction.FAILED, DsnAction.RELAYED) and len(peer.messages) == 1


async def test_helo_where_ehlo_is_refused() -> None:
    with Peer(script={"EHLO": "500 5.5.1 what?"}) as peer:
        (outcome,) = await send_all(peer, message_to())
    assert outcome.action is DsnAction.RELAYED and "HELO home.example" in peer.commands


@pytest.mark.parametrize(
    ("words", "offer", "status", "reason"),
    [
        ({"require_tls": True}, ("REQUIRETLS",), "5.7.30", Reason.TLS),
        ({}, ("SIZE 10",), "5.3.4", Reason.TOO_BIG),
    ],
)
async def test_a_message_the_server_cannot_accept_is_not_sent(
    words: dict[str, object], offer: tuple[str, ...], status: str, reason: Reason
) -> None:
    with Peer(offer=offer) as peer:
        (outcome,) = await send_all(peer, message_to(**words))
    assert (outcome.status, outcome.reason, outcome.action) == (status, reason, DsnAction.FAILED)
    assert not any(line.startswith("MAIL") for line in peer.commands)


@pytest.mark.parametrize(
    "said", ["554 5.7.1 Client blocked using zen.spamhaus.org", "550 5.7.25 no PTR", "421 4.7.0 bad reputation of your IP"]
)
async def test_refusals_of_our_address_are_recognized(said: str) -> None:
    with Peer(script={"greeting": said}) as peer:
        (outcome,) = await send_all(peer, message_to())
    assert outcome.reason is Reason.REPUTATION


async def test_many_recipients_go_in_groups() -> None:
    with Peer() as peer:
        outcomes = await send_all(peer, message_to(*[f"u{number}" for number in range(250)]))
    assert len(outcomes) == 250 and {one.action for one in outcomes} == {DsnAction.RELAYED}
    assert [len(one.recipients) for one in peer.messages] == [100, 100, 50]


async def test_no_listener() -> None:
    with Peer() as peer:
        port = peer.port
    with pytest.raises(PeerError):
        await dial("127.0.0.1", port, timeout_s=2)
    await trio.lowlevel.checkpoint()


async def test_another_server_accepts_it() -> None:
    from aiosmtpd.controller import Controller

    class Keeps:
        def __init__(self) -> None:
            self.envelopes: list[object] = []

        async def handle_DATA(self, server: object, session: object, envelope: object) -> str:
            self.envelopes.append(envelope)
            return "250 2.0.0 kept"

    keeps = Keeps()
    controller = Controller(keeps, hostname="127.0.0.1", port=free_ports(1)[0])
    controller.start()
    try:
        stream = await dial("127.0.0.1", controller.port, timeout_s=5)
        client = SmtpClient(stream, "foreign", QUICK)
        await client.open("home.example")
        (outcome,) = await client.transact(message_to())
        await client.quit()
        await stream.aclose()
    finally:
        controller.stop()
    (envelope,) = keeps.envelopes
    assert outcome.action is DsnAction.RELAYED and envelope.content == MESSAGE and envelope.rcpt_tos == ["bob@far.example"]  # type: ignore[attr-defined]
