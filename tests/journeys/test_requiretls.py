"""REQUIRETLS end to end: received by SMTP, forwarded by an alias, a next hop without it, and the bounce."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import make_certificates
from tests.support.neighbours import Neighbours
from tests.support.server import pillarbox
from tests.support.wire import Smtp


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Neighbours]:
    with Neighbours(tmp_path) as world:
        yield world


@pytest.mark.parametrize("offered", [True, False])
def test_the_bounce_of_a_message_with_requiretls_keeps_it_and_is_sent(world: Neighbours, tmp_path: Path, offered: bool) -> None:
    """RFC 8689 §5: the bounce requests REQUIRETLS, contains the header only, and is sent even where the next hop lacks REQUIRETLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificates(tmp_path).server)
    far = world.peer("far.example")
    offer = ("PIPELINING", "8BITMIME", "DSN", *(("REQUIRETLS",) if offered else ()))
    stranger = world.peer("stranger.example", context=context, offer=offer)
    pillarbox("alias", "add", "club@home.example", "bob@far.example", data=world.data)
    with world.server:
        with Smtp(world.server.ports["smtp"]) as smtp:
            assert smtp.ask(b"STARTTLS").startswith(b"220")
            smtp.start_tls()
            assert b"REQUIRETLS" in smtp.ask(b"EHLO client.example")
            assert smtp.ask(b"MAIL FROM:<eve@stranger.example> REQUIRETLS RET=FULL ENVID=mine").startswith(b"250")
            assert smtp.ask(b"RCPT TO:<club@home.example>").startswith(b"250")
            assert smtp.ask(b"DATA").startswith(b"354")
            smtp.send(b"From: eve@stranger.example\r\nSubject: for TLS only\r\n\r\nthe secret body\r\n.\r\n")
            assert smtp.reply().startswith(b"250")
        (bounce,) = world.arrived(stranger)
    assert bounce.sender == "" and bounce.recipients == ["eve@stranger.example"] and bounce.tls
    assert b"Subject: for TLS only" in bounce.octets and b"the secret body" not in bounce.octets
    assert b"Status: 5.7.30" in bounce.octets and b"Original-Envelope-Id: mine" in bounce.octets
    (mail,) = [line for line in stranger.commands if line.startswith("MAIL FROM:<>")]
    assert ("REQUIRETLS" in mail) == offered
    assert not far.messages
