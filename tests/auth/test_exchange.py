"""The SASL exchange of all servers: every end, throttled, and mechanisms whose credential is no password."""

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from trio.testing import MockClock

from appliance.accounts.accounts import NO_PASSWORD
from appliance.auth.connection_info import ConnectionInfo
from appliance.auth.exchange import MAX_STEPS, SaslFailure
from appliance.auth.identity import Identity
from appliance.auth.login import FAILURE_S
from appliance.auth.mechanisms import MECHANISMS, MechanismOffer, Mechanisms
from appliance.mail.errors import AuthError
from appliance.mail.ids import AccountId
from appliance.mail.limits import AUTH_LINE_OCTETS, GUESSES_PER_MINUTE
from appliance.protocol.framing import Overlong
from appliance.protocol.sasl.mechanism import Accepted, Challenge, CheckCredential, Failed, Step, StepsUnused
from appliance.status.events import LoginFailed, LoginSucceeded
from tests.support.accounts import Family
from tests.support.services import ACCOUNTS, Components, some_components

from .test_scram_on_the_wire import Wire

T = TypeVar("T")
ANNA = Identity(AccountId(1), "anna@home.example")
TLS = ConnectionInfo("imap", "192.0.2.7", True)
RIGHT = b64encode(b"\0anna\0right")


class Lines:
    """A channel whose client answers with these lines."""

    def __init__(self, *lines: bytes | Exception) -> None:
        self._lines = list(lines)
        self.challenges: list[bytes] = []

    async def ask(self, challenge: bytes) -> bytes:
        self.challenges.append(b64decode(challenge))
        line = self._lines.pop(0)
        if isinstance(line, Exception):
            raise line
        return line

    async def attend(self, work: Callable[[], Awaitable[T]]) -> T:
        return await work()


# --- mechanisms of tests: a bearer token (as RFC 7628), a client certificate (as RFC 4422 appendix A) -----------------------


class Bearer(StepsUnused):
    """The token in one response; a wrong one gets a challenge with the reason, which the client answers before it fails."""

    def __init__(self) -> None:
        self._refused = False

    def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        if self._refused:
            return Accepted()  # a mechanism that lies: the exchange knows better
        name, separator, token = response.partition(b"\1")
        return CheckCredential("bearer", name.decode(), token) if separator else Failed("no token")

    def checked(self, accepted: bool) -> Step:
        self._refused = not accepted
        return Accepted() if accepted else Challenge(b'{"status":"invalid_token"}')


class External(StepsUnused):
    """The client certificate of the connection; the response may name an account."""

    def step(self, response: bytes | None) -> Step:
        return Challenge(b"") if response is None else CheckCredential("certificate", response.decode(), b"")

    def checked(self, accepted: bool) -> Step:
        return Accepted() if accepted else Failed("the certificate is not that account's")


class Tokens:
    """Verifies tokens `NAME-token`; an unavailable provider raises."""

    async def verify(self, name: str, credential: bytes, connection: ConnectionInfo) -> str | None:
        if credential == b"unavailable":
            raise AuthError("the provider does not answer")
        text = credential.decode()
        return text.removesuffix("-token") if text.endswith("-token") else None


class Certificates:
    """The certificate on port 465 is anna's."""

    async def verify(self, name: str, credential: bytes, connection: ConnectionInfo) -> str | None:
        return "anna@home.example" if connection.protocol == "submissions" else None


OFFERS = (
    *MECHANISMS,
    MechanismOffer("BEARER", lambda connection: Bearer()),
    MechanismOffer("EXTERNAL", lambda connection: External(), announced=lambda c: c.protocol == "submissions", accepted=lambda c: c.secure),
)


@pytest.fixture
async def server(family: Family) -> Family:
    await family.accounts.add_account("anna@home.example", "right")
    await family.accounts.add_account("ben@home.example", "other")
    family.mechanisms = Mechanisms(family.login, offers=OFFERS, verifiers={"bearer": Tokens(), "certificate": Certificates()})
    return family


async def run(
    server: Family, name: str, initial: bytes | None, *lines: bytes | Exception, connection: ConnectionInfo = TLS
) -> tuple[Identity | SaslFailure, Sequence[bytes]]:
    channel = Lines(*lines)
    return await server.mechanisms.authenticate(name, initial, connection, channel), channel.challenges


# --- every end --------------------------------------------------------------------------------------------------------------


async def test_an_initial_response_or_a_challenge(server: Family) -> None:
    assert await run(server, "plain", RIGHT) == (ANNA, [])
    assert await run(server, "PLAIN", None, RIGHT) == (ANNA, [b""])
    assert await run(server, "LOGIN", None, b64encode(b"anna"), b64encode(b"right")) == (ANNA, [b"Username:", b"Password:"])


@pytest.mark.parametrize("line", [b"*", b"%%%", b"A===", b"AA A", Overlong(), b"A" * (AUTH_LINE_OCTETS + 4)])
async def test_ends_without_a_check(server: Family, line: bytes | Exception) -> None:
    wanted = SaslFailure.NOT_BASE64
    if isinstance(line, Exception) or len(line) > AUTH_LINE_OCTETS:
        wanted = SaslFailure.TOO_LONG
    elif line == b"*":
        wanted = SaslFailure.CANCELLED
    assert await run(server, "LOGIN", None, b64encode(b"anna"), line) == (wanted, [b"Username:", b"Password:"])
    if isinstance(line, bytes) and line != b"*":
        assert await run(server, "PLAIN", line) == (wanted, [])
    assert server.threads.runs == 2, "only the two accounts' passwords were hashed"
    assert server.board.heard == []


async def test_an_initial_asterisk_is_no_cancel(server: Family) -> None:
    """RFC 4954 §4: "*" alone on a response line cancels; as an initial response it is not base64."""
    assert await run(server, "PLAIN", b"*") == (SaslFailure.NOT_BASE64, [])


async def test_an_equals_sign_is_an_empty_initial_response(server: Family, autojump_clock: MockClock) -> None:
    assert await run(server, "PLAIN", b"=") == (SaslFailure.REFUSED, [])


async def test_failures_of_credentials(server: Family, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await run(server, "PLAIN", b64encode(b"\0anna\0wrong")) == (SaslFailure.REFUSED, [])
    assert await run(server, "NTLM", RIGHT) == (SaslFailure.NO_MECHANISM, [])
    assert await run(server, "PLAIN", RIGHT, connection=ConnectionInfo("imap", "", False)) == (SaslFailure.NEEDS_TLS, [])

    async def broken(*_: object) -> None:
        raise AuthError("no argon2")

    monkeypatch.setattr(server.accounts.passwords, "find", broken)
    assert await run(server, "PLAIN", RIGHT) == (SaslFailure.UNAVAILABLE, [])


async def test_an_endless_exchange_ends(server: Family) -> None:
    class Endless(StepsUnused):
        def step(self, response: bytes | None) -> Step:
            return Challenge(b"more")

    mechanisms = Mechanisms(server.login, offers=(MechanismOffer("ENDLESS", lambda connection: Endless()),))
    channel = Lines(*[b""] * (MAX_STEPS + 1))
    assert await mechanisms.authenticate("ENDLESS", None, TLS, channel) is SaslFailure.REFUSED
    assert len(channel.challenges) == MAX_STEPS


# --- credentials that are no passwords ----------------------------------------------------------------------------------------


async def test_a_bearer_token(server: Family, autojump_clock: MockClock) -> None:
    identity, _ = await run(server, "BEARER", b64encode(b"anna\1anna-token"))
    assert identity == ANNA and isinstance(identity, Identity) and identity.password == NO_PASSWORD
    assert server.board.heard == [LoginSucceeded("imap", "192.0.2.7", "anna@home.example", "BEARER")]
    assert (await run(server, "BEARER", b64encode(b"\1ben@home.example-token")))[0] == Identity(AccountId(2), "ben@home.example")
    assert server.login.is_current(identity)
    await server.accounts.set_password("anna", "another")
    assert server.login.is_current(identity), "no password of the account was used"
    await server.add_second_admin()
    await server.accounts.set_disabled("anna", True)
    assert not server.login.is_current(identity)


@pytest.mark.parametrize(
    "credential", [b"anna\1wrong", b"anna\1ben-token", b"\1nobody-token", b"nobody\1nobody-token", b"nobody\1anna-token"]
)
async def test_a_refused_token_gets_a_challenge_and_never_an_identity(server: Family, autojump_clock: MockClock, credential: bytes) -> None:
    """The mechanism here answers Accepted after the refusal; only a check of this exchange makes an identity."""
    started = trio.current_time()
    outcome = await run(server, "BEARER", b64encode(credential), b64encode(b"\1"))
    assert outcome == (SaslFailure.REFUSED, [b'{"status":"invalid_token"}'])
    assert trio.current_time() - started >= FAILURE_S
    assert [type(event) for event in server.board.heard] == [LoginFailed]


async def test_tokens_are_throttled_as_passwords_are(server: Family, autojump_clock: MockClock) -> None:
    done: list[float] = []

    async def guess(number: int) -> None:
        await run(server, "BEARER", b64encode(b"anna\1guess %d" % number), b64encode(b"\1"))
        done.append(trio.current_time())

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(GUESSES_PER_MINUTE + 1):
            nursery.start_soon(guess, number)
    assert sum(at - started < 5 for at in done) == GUESSES_PER_MINUTE


async def test_an_unavailable_verifier_is_no_refusal(server: Family) -> None:
    assert await run(server, "BEARER", b64encode(b"anna\1unavailable")) == (SaslFailure.UNAVAILABLE, [])
    assert server.board.heard == []


async def test_a_client_certificate(server: Family, autojump_clock: MockClock) -> None:
    submissions = ConnectionInfo("submissions", "192.0.2.7", True)
    assert "EXTERNAL" in server.mechanisms.offered(submissions) and "EXTERNAL" not in server.mechanisms.offered(TLS)
    assert await run(server, "EXTERNAL", b"=", connection=submissions) == (ANNA, [])
    assert await run(server, "EXTERNAL", None, b"", connection=submissions) == (ANNA, [b""])
    assert await run(server, "EXTERNAL", b64encode(b"ben"), connection=submissions) == (SaslFailure.REFUSED, [])
    assert await run(server, "EXTERNAL", b"=") == (SaslFailure.REFUSED, [])


async def test_without_a_verifier_a_credential_is_refused(server: Family) -> None:
    mechanisms = Mechanisms(server.login, offers=OFFERS)
    assert await mechanisms.authenticate("BEARER", b64encode(b"anna\1anna-token"), TLS, Lines()) is SaslFailure.REFUSED


SERVERS = {
    "imap": (b"a AUTHENTICATE BEARER %b\r\n", b"a OK", b"a NO"),
    "pop3": (b"AUTH BEARER %b\r\n", b"+OK", b"-ERR [AUTH]"),
    "submission": (b"AUTH BEARER %b\r\n", b"235", b"535"),
}


@pytest.mark.parametrize("protocol", SERVERS)
async def test_one_row_is_offered_by_every_server(tmp_path: Path, protocol: str) -> None:
    command, accepted, refused = SERVERS[protocol]
    async with some_components(tmp_path) as components:
        _with_tokens(components)
        wire = await Wire(components.connect(protocol)).greeted(protocol)
        await wire.send(command % b64encode(b"\1wrong"))
        assert await wire.challenge() == b'{"status":"invalid_token"}'
        await wire.send(b64encode(b"\1") + b"\r\n")
        assert (await wire.line()).startswith(refused)
        await wire.send(command % b64encode(b"\1" + ACCOUNTS[0].encode() + b"-token"))
        assert (await wire.line()).startswith(accepted)
        assert components.streams[0].login == (components.account(), NO_PASSWORD)


def _with_tokens(components: Components) -> None:
    components.mechanisms = Mechanisms(components.family.login, plaintext_login=True, offers=OFFERS, verifiers={"bearer": Tokens()})
