"""What is offered where, and whole exchanges against real accounts."""

import pytest
import trio
from trio.testing import MockClock

from appliance.accounts.passwords import generate
from appliance.accounts.second_factor import SecondFactors, new_secret
from appliance.accounts.totp import code_of, step_of
from appliance.auth.connection_info import ConnectionInfo
from appliance.auth.exchange import MAX_STEPS, Exchange, SaslFailure
from appliance.auth.identity import AppPasswordNeeded, Identity
from appliance.auth.login import FAILURE_S
from appliance.auth.mechanisms import Mechanisms
from appliance.mail.ids import AccountId
from appliance.status.events import LoginFailed, LoginSucceeded
from tests.support.accounts import Family

from .scram_client import ScramClient

ANNA = Identity(AccountId(1), "anna@home.example")
BINDING = {"tls-server-end-point": b"e" * 32}
ALL = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")


@pytest.fixture
async def server(family: Family) -> Family:
    await family.accounts.add_account("anna@home.example", "right")
    await family.accounts.add_account("ben@home.example", "other")
    return family


def connected(secure: bool = True, binding: dict[str, bytes] | None = None) -> ConnectionInfo:
    return ConnectionInfo("pop3", "192.0.2.7", secure, BINDING if binding is None else binding)


def start(server: Family, name: str, *, binding: dict[str, bytes] | None = None) -> Exchange:
    exchange = server.mechanisms.start(name, connected(binding=binding))
    assert isinstance(exchange, Exchange)
    return exchange


async def scram(
    exchange: Exchange, name: str, password: str, header: bytes = b"n,,", binding: bytes = b""
) -> tuple[list[bytes], Identity | None]:
    """An honest client; the server's messages and the outcome."""
    client = ScramClient(name, password, header=header, binding=binding)
    first = await exchange.step(client.first())
    if not isinstance(first, bytes):
        return [], None
    final = await exchange.step(client.final(first))
    if not isinstance(final, bytes):
        return [first], None
    assert client.proves(final)
    outcome = await exchange.step(b"")
    assert not isinstance(outcome, bytes)
    return [first, final], outcome


async def test_offers(server: Family) -> None:
    def offered(mechanisms: Mechanisms, secure: bool, binding: dict[str, bytes]) -> tuple[str, ...]:
        return mechanisms.offered(connected(secure, binding))

    assert offered(server.mechanisms, True, {**BINDING, "tls-exporter": b"x" * 32}) == ALL
    assert offered(server.mechanisms, True, BINDING) == ALL[1:]  # clients would use a type this TLS does not have
    assert offered(server.mechanisms, True, {}) == ALL[1:]
    assert offered(server.mechanisms, True, {"tls-unique": b"u"}) == ALL[1:]
    assert offered(server.mechanisms, False, {}) == ()
    assert not server.mechanisms.plaintext_allowed(False)
    open_server = Mechanisms(server.login, plaintext_login=True)
    assert open_server.plaintext_allowed(False)
    assert offered(open_server, False, {}) == ALL[1:]
    assert server.mechanisms.start("PLAIN", connected(False, {})) is SaslFailure.NEEDS_TLS
    for name, binding in (("SCRAM-SHA-256-PLUS", {}), ("CRAM-MD5", BINDING), ("", BINDING)):
        assert server.mechanisms.start(name, connected(True, binding)) is SaslFailure.NO_MECHANISM


async def test_plain_and_login(server: Family) -> None:
    assert await start(server, "plain").step(b"\0anna\0right") == ANNA
    exchange = start(server, "LOGIN")
    assert await exchange.step(None) == b"Username:"
    assert await exchange.step(b"anna@home.example") == b"Password:"
    assert await exchange.step(b"right") == ANNA
    assert server.board.heard == [LoginSucceeded("pop3", "192.0.2.7", "anna@home.example", name) for name in ("PLAIN", "LOGIN")]


async def test_scram(server: Family) -> None:
    messages, outcome = await scram(start(server, "SCRAM-SHA-256"), "anna", "right")
    assert outcome == ANNA
    assert len(messages) == 2
    assert server.board.heard == [LoginSucceeded("pop3", "192.0.2.7", "anna@home.example", "SCRAM-SHA-256")]


async def test_scram_with_a_second_factor_takes_app_passwords_alone(server: Family) -> None:
    device = await server.accounts.add_app_password("anna", "phone")
    secret, anna = new_secret(), server.accounts.directory.accounts()[0]
    code = code_of(secret, step_of(server.clock.wall_s()))
    await SecondFactors(server.accounts, server.clock).enable(anna, secret, code)
    with pytest.raises(AppPasswordNeeded):
        await scram(start(server, "SCRAM-SHA-256"), "anna", "right")
    assert (await scram(start(server, "SCRAM-SHA-256"), "anna", "wrong"))[1] is None
    assert isinstance((await scram(start(server, "SCRAM-SHA-256"), "anna", device))[1], Identity)


async def test_scram_with_channel_binding(server: Family) -> None:
    header = b"p=tls-server-end-point,,"
    _, outcome = await scram(start(server, "SCRAM-SHA-256-PLUS"), "anna", "right", header, BINDING["tls-server-end-point"])
    assert outcome == ANNA


async def test_a_man_in_the_middle_is_detected(server: Family) -> None:
    header = b"p=tls-server-end-point,,"
    messages, outcome = await scram(start(server, "SCRAM-SHA-256-PLUS"), "anna", "right", header, b"another certificate")
    assert (messages[1:], outcome) == ([], None)
    both = {**BINDING, "tls-exporter": b"x" * 32}
    assert await scram(start(server, "SCRAM-SHA-256", binding=both), "anna", "right", b"y,,") == ([], None)
    _, outcome = await scram(start(server, "SCRAM-SHA-256"), "anna", "right", b"y,,")  # -PLUS was not announced
    assert outcome == ANNA
    _, outcome = await scram(start(server, "SCRAM-SHA-256", binding={}), "anna", "right", b"y,,")
    assert outcome == ANNA


async def test_scram_with_an_app_password(server: Family) -> None:
    for label in ("phone", "tablet"):
        password = await server.accounts.add_app_password("anna", label)
        _, outcome = await scram(start(server, "SCRAM-SHA-256"), "anna@home.example", password)
        assert outcome == Identity(AccountId(1), "anna@home.example", label)
    server.accounts.passwords.scram_for_all = False
    _, outcome = await scram(start(server, "SCRAM-SHA-256"), "anna@home.example", password)
    assert outcome is not None


async def test_scram_for_app_passwords_only(server: Family, autojump_clock: MockClock) -> None:
    server.accounts.passwords.scram_for_all = False
    messages, outcome = await scram(start(server, "SCRAM-SHA-256"), "anna", "right")
    assert (messages[1:], outcome) == ([], None)


async def test_unknown_names_look_like_accounts(server: Family, autojump_clock: MockClock) -> None:
    """Equal messages, equal time, a constant salt."""
    seen = []
    for name in ("anna", "nobody"):
        begun = trio.current_time()
        rounds = [await scram(start(server, "SCRAM-SHA-256"), name, "wrong") for _ in range(3)]
        took_s = trio.current_time() - begun
        shapes = [(len(messages[0]), messages[0].split(b",")[2], len(messages), outcome) for messages, outcome in rounds]
        assert len({messages[0].split(b",")[1] for messages, _ in rounds}) == 1
        seen.append((shapes, took_s))
        candidate = server.login.candidate(name)
        seen[-1] = (*seen[-1], len(candidate.secret.keys), len(candidate.secret.salt))
    assert seen[0] == seen[1]
    assert seen[0][1] == 3 * FAILURE_S
    assert [event.name for event in server.board.heard if isinstance(event, LoginFailed)] == ["anna"] * 3 + ["nobody"] * 3


async def test_an_exchange_ends(server: Family, autojump_clock: MockClock) -> None:
    exchange = start(server, "PLAIN")
    assert [await exchange.step(None) for _ in range(MAX_STEPS)] == [b""] * MAX_STEPS
    assert await exchange.step(None) is None
    assert await start(server, "PLAIN").step(b"junk") is None
    assert server.board.heard == []


async def test_a_generated_password_works_in_every_typed_form(server: Family) -> None:
    """Without dashes, in capitals, with a phone's first capital: in SCRAM, and with blanks too where the server sees what is typed."""
    app = await server.accounts.add_app_password("anna", "phone")
    await server.accounts.set_password("anna", own := generate())
    for written, label in ((app, "phone"), (own, "")):
        bare = written.replace("-", "")
        typed = [written, bare, written.upper(), bare.upper(), written.capitalize(), bare.capitalize()]
        for one in typed:
            _, outcome = await scram(start(server, "SCRAM-SHA-256"), "anna", one)
            assert outcome is not None and outcome.app_password == label, one
        for one in (*typed, written.replace("-", " "), bare[:7].upper() + bare[7:]):
            found = await server.login.check("anna", one, peer="192.0.2.1", protocol="imap", mechanism="PLAIN")
            assert found is not None and found.app_password == label, one
    _, outcome = await scram(start(server, "SCRAM-SHA-256"), "anna", own[:-1] + ("a" if own[-1] != "a" else "b"))
    assert outcome is None
