"""Outbound mail over real sockets and scripted servers: direct, by a relay, deferred, bounced, cancelled."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.neighbours import Neighbours
from tests.support.peer import SILENT
from tests.support.server import pillarbox
from tests.support.wire import PASSWORD, Imap, Smtp


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Neighbours]:
    with Neighbours(tmp_path) as world:
        yield world


def inbox(world: Neighbours, who: str = "ada@home.example") -> list[bytes]:
    """The messages in INBOX."""
    with Imap(world.server.ports["imap"], who, select="INBOX") as imap:
        return imap.ok(b"UID FETCH 1:* BODY.PEEK[]")


def test_direct_delivery_and_its_history(world: Neighbours) -> None:
    far = world.peer("far.example")
    with world.server:
        name = world.send("bob@far.example")
        (taken,) = world.arrived(far)
        assert taken.sender == "ada@home.example" and taken.recipients == ["bob@far.example"]
        assert b"Subject: hello" in taken.octets and b"Return-Path" not in taken.octets
        world.until(lambda: world.track(name) == ["accepted", "sent"])
        text = pillarbox("message", "track", name, data=world.data).stdout
        assert "sent to bob@far.example" in text and "mx1.far.example" in text
        assert pillarbox("queue", "list", data=world.data).stdout.strip() == "The queue is empty."


def test_greylisting(world: Neighbours) -> None:
    far = world.peer("far.example", script={"RCPT": ["451 4.7.1 greylisted, come back", "250 2.1.5 ok"]})
    with world.server:
        name = world.send("bob@far.example")
        world.arrived(far)
        world.until(lambda: world.track(name) == ["accepted", "deferred", "sent"])


def test_a_refused_recipient_is_bounced_with_the_reason(world: Neighbours) -> None:
    far = world.peer("far.example", script={"RCPT nobody@far.example": "550 5.1.1 no such user here"})
    with world.server:
        name = world.send("nobody@far.example", "bob@far.example")
        assert world.arrived(far)[0].recipients == ["bob@far.example"]
        world.until(lambda: any(b"no such user here" in row for row in inbox(world)))
        world.until(lambda: sorted(world.track(name)) == ["accepted", "bounced", "sent"])


def test_the_outbox_lists_the_queue_and_expunge_cancels(world: Neighbours) -> None:
    world.peer("far.example", script={"MAIL": "451 4.3.0 not now"})
    world.write_settings(first=3600, most=3600)
    with world.server:
        name = world.send("bob@far.example", subject="waiting")
        world.until(lambda: world.track(name)[-1] == "deferred")
        with Imap(world.server.ports["imap"], select="Outbox") as imap:
            listed = imap.ok(b'LIST "" "Outbox"')
            assert any(rb"\Scheduled" in row for row in listed), listed
            assert any(b"waiting" in row for row in imap.ok(b"FETCH 1 (ENVELOPE BODY[])"))
            assert imap.run(b"COPY 1 Outbox")[1].startswith(b"NO") and imap.run(b"APPEND Outbox {3+}\r\nabc")[1].startswith(b"NO")
            assert imap.run(b"DELETE Outbox")[1].startswith(b"NO")
            imap.ok(rb"STORE 1 +FLAGS (\Deleted)")
            imap.ok(b"EXPUNGE")
        assert world.track(name) == ["accepted", "deferred", "cancelled"]
        assert world.ask("queue", "list")["messages"] == [] and not inbox(world)


def test_a_sent_message_disappears_from_the_outbox(world: Neighbours) -> None:
    far = world.peer("far.example", script={"MAIL": ["451 4.3.0 not now", "250 ok"]})
    with world.server:
        world.send("bob@far.example")
        world.arrived(far)
        world.until(lambda: world.ask("queue", "list")["messages"] == [])
        with Imap(world.server.ports["imap"]) as imap:
            assert any(b"MESSAGES 0" in row for row in imap.ok(b"STATUS Outbox (MESSAGES)"))


def test_queue_commands(world: Neighbours) -> None:
    far = world.peer("far.example", script={"MAIL": ["451 4.3.0 not now", "250 ok"]})
    world.write_settings(first=3600, most=3600)
    with world.server:
        name = world.send("bob@far.example")
        world.until(lambda: world.track(name)[-1] == "deferred")
        (row,) = world.ask("queue", "list")["messages"]
        assert row["message"] == name and row["attempts"] == 1 and row["recipients"][0]["reply"].startswith("451")
        assert "held" in pillarbox("queue", "hold", name[:6], data=world.data).stdout
        assert world.ask("queue", "show", str(row["id"]))["messages"][0]["state"] == "held"
        unknown = pillarbox("queue", "reroute", name, "nowhere", data=world.data, check=False)
        assert unknown.returncode == 2 and "Choose from direct" in unknown.stderr
        assert pillarbox("queue", "cancel", "zzz", data=world.data, check=False).returncode == 2
        pillarbox("queue", "release", name, data=world.data)
        world.arrived(far)


RELAY = """
[[relay]]
name = "provider"
host = "127.0.1.1"
port = {port}
security = "{security}"
any_certificate = true
"""


def test_everything_by_a_relay_when_direct_delivery_is_off(tmp_path: Path) -> None:
    with Neighbours(tmp_path, more='direct = "never"') as world:
        relay = world.peer("provider.example")
        world.write_settings(after=RELAY.format(port=world.port, security="none"))
        with world.server:
            world.send("bob@far.example", "eve@other.example")
            assert sorted(world.arrived(relay)[0].recipients) == ["bob@far.example", "eve@other.example"]
        with closing(sqlite3.connect(world.data / "pillarbox.db")) as database:
            assert database.execute("SELECT value FROM meta WHERE key = 'relay_size provider'").fetchone() == ("1000000",)


def test_without_any_route_out_the_message_is_refused_at_once(tmp_path: Path) -> None:
    with Neighbours(tmp_path, more='direct = "never"') as world, world.server:
        reply = world.submit("bob@far.example")
        assert reply.startswith("550 5.4.4") and "[[relay]]" in reply


def test_a_refusal_for_the_ip_address_falls_back_to_the_relay(world: Neighbours) -> None:
    relay = world.peer("provider.example")
    far = world.peer("far.example", script={"MAIL": "550 5.7.1 blocked using a blocklist, dynamic address"})
    world.write_settings(after=RELAY.format(port=world.port, security="none"))
    with world.server:
        world.send("bob@far.example")
        assert world.arrived(relay)[0].recipients == ["bob@far.example"] and not far.messages


def test_deferred_messages_take_a_newly_set_route(world: Neighbours) -> None:
    relay = world.peer("provider.example")
    world.names.silent.add("far.example")
    world.write_settings(first=3600, most=3600)
    with world.server:
        world.send("bob@far.example", "eve@far.example")
    world.write_settings(more='direct = "never"', after=RELAY.format(port=world.port, security="none"))
    with world.server:
        assert len(world.arrived(relay)[0].recipients) == 2


def test_an_external_address_is_used_for_remote_recipients_only(world: Neighbours) -> None:
    relay = world.peer("provider.example")
    hers = 'account = "ada@home.example"\naddress = "ada.lovelace@provider.example"\n'
    world.write_settings(more='direct = "never"', after=RELAY.format(port=world.port, security="none") + hers)
    with world.server:
        world.send("bob@far.example", "ben@home.example", subject="from me")
        (taken,) = world.arrived(relay)
        assert taken.sender == "ada.lovelace@provider.example" and taken.recipients == ["bob@far.example"]
        assert b"From: ada.lovelace@provider.example" in taken.octets
        assert any(b"From: ada@home.example" in row for row in inbox(world, "ben@home.example"))
        assert world.submit("bob@far.example", sender="ben").startswith("550 5.4.4"), "ben has no relay of his own"


def test_forwarding_aliases_rewrite_the_sender(world: Neighbours) -> None:
    far = world.peer("far.example")
    with world.server:
        pillarbox("alias", "add", "club@home.example", "bob@far.example", data=world.data)
        with Smtp(world.server.ports["smtp"]) as smtp:
            assert smtp.deliver(b"From: x@strange.example\r\nSubject: club\r\n\r\nhi\r\n", b"club@home.example").startswith(b"250")
        (taken,) = world.arrived(far)
        assert taken.sender.startswith("SRS0=") and taken.sender.endswith("@home.example")
        assert taken.octets.startswith(b"Delivered-To: club@home.example")
    assert far.messages


def test_holdfor_delays_local_and_remote_delivery(world: Neighbours) -> None:
    far = world.peer("far.example")
    with world.server:
        name = world.send("bob@far.example", "ben@home.example", subject="at eight", mail=" HOLDFOR=3")
        assert not far.messages and not inbox(world, "ben@home.example")
        with Imap(world.server.ports["imap"]) as imap:
            assert any(b"MESSAGES 1" in row for row in imap.ok(b"STATUS Outbox (MESSAGES)"))
        assert {row["destination"] for row in world.ask("queue", "list")["messages"]} == {"far.example", "."}
        world.arrived(far)
        world.until(lambda: any(b"at eight" in row for row in inbox(world, "ben@home.example")))
        world.until(lambda: sorted(world.track(name)) == ["accepted", "accepted", "sent", "sent"])
        with Imap(world.server.ports["imap"]) as imap:
            world.until(lambda: any(b"MESSAGES 0" in row for row in imap.ok(b"STATUS Outbox (MESSAGES)")))


def test_killed_between_acceptance_and_attempt_it_is_sent_once(world: Neighbours) -> None:
    far = world.peer("far.example", script={"greeting": ["421 4.3.2 later", "220 hello"]})
    with world.server:
        name = world.send("bob@far.example")
        world.server.kill()
    with world.server:
        world.arrived(far)
        world.until(lambda: world.track(name)[-1] == "sent")
    assert len(far.messages) == 1


SIGNED_IN = """
[[relay]]
name = "provider"
host = "127.0.0.1"
port = {port}
security = "{security}"
any_certificate = true
user = "ada@provider.example"
{secret}
account = "ada@home.example"
address = "ada@provider.example"
"""


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_relay_with_authentication(tmp_path: Path, security: str) -> None:
    """Another Pillarbox is the provider: TLS, SCRAM-SHA-256, and its own rules about senders."""
    (tmp_path / "provider").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    with (
        Neighbours(tmp_path / "provider", accounts=("ada", "bob"), domain="provider.example") as provider,
        Neighbours(tmp_path / "home", more='direct = "never"') as world,
        provider.server,
    ):
        words = {"port": provider.server.ports["submissions" if security == "tls" else "submission"], "security": security}
        world.write_settings(after=SIGNED_IN.format(**words, secret=f'password_file = "{tmp_path / "secret"}"'))
        with world.server:
            name = world.send("bob@provider.example", subject="signed in")
            provider.until(lambda: any(b"signed in" in row for row in inbox(provider, "bob@provider.example")))
            world.until(lambda: world.track(name)[-1] == "sent")
            (kept,) = [row for row in inbox(provider, "bob@provider.example") if b"signed in" in row]
            assert b"From: ada@provider.example" in kept
        (tmp_path / "secret").write_text("wrong\n")
        with world.server:
            name = world.send("bob@provider.example", subject="not signed in")
            world.until(lambda: world.track(name)[-1] == "deferred")
            (row,) = world.ask("queue", "list")["messages"]
            assert row["recipients"][0]["reason"] == "SIGN_IN" and "does not accept" in row["recipients"][0]["text"]
            assert "wrong" not in world.server.log.read_text()


@pytest.mark.parametrize(
    ("step", "usual"),
    [("greeting", "220 hi"), ("EHLO", "250 mx"), ("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go"), ("MESSAGE", "250 ok")],
)
def test_killed_at_every_step_of_an_attempt_it_is_still_delivered(world: Neighbours, step: str, usual: str) -> None:
    """Twice only where SMTP itself cannot know: the message was complete and the reply did not arrive (RFC 1047)."""
    far = world.peer("far.example", script={step: [SILENT, usual]})
    with world.server:
        name = world.send("bob@far.example", subject=f"killed at {step}")
        world.until(lambda: far.connections and (step in ("greeting", "EHLO") or any(one.startswith(_said(step)) for one in far.commands)))
        time.sleep(0.2)  # so that the server is certainly waiting at this step
        world.server.kill()
    with world.server:
        world.until(lambda: world.track(name)[-1] == "sent", 30)
    assert 1 <= len(far.messages) <= (2 if step == "MESSAGE" else 1)
    assert world.track(name).count("accepted") == 1


def _said(step: str) -> str:
    return "DATA" if step == "MESSAGE" else step


def test_the_network_check_probes_listeners_relays_and_outbound_connectivity(world: Neighbours) -> None:
    world.peer("provider.example")
    world.peer("gmail.com")  # one of the hosts that outbound connectivity is probed with
    closed = RELAY.format(port=world.port, security="tls").replace("provider", "gone").replace("127.0.1.1", "127.0.1.99")
    world.write_settings(after=RELAY.format(port=world.port, security="none") + closed + 'domains = ["gone.example"]\n')
    with world.server:
        found = world.ask("network", "check")["findings"]
        assert {one["service"] for one in found if one["state"] == "open"} == {*world.server.ports, "relay", "outbound"}
        (gone,) = [one for one in found if one["state"] == "closed"]
        assert "gone, 127.0.1.99" in gone["where"] and "refused" in gone["text"]
        text = pillarbox("network", "check", data=world.data).stdout
        assert "open     outbound" in text and "tested from outside" in text
    assert pillarbox("network", "check", data=world.data, check=False).returncode == 3, "no server is running"
