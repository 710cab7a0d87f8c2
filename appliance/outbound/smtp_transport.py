"""The SMTP transport: MX hosts in order or a relay, TLS as the policy requires, one connection for many messages.

| failure                                        | what is tried next                                                       |
|------------------------------------------------|--------------------------------------------------------------------------|
| no connection, a refusing greeting, a lost one | the next address, then the next host (RFC 5321 §5.1)                     |
| 421 at any step                                | the same, for recipients without an outcome (RFC 5321 §5.1, §4.2.1)      |
| a refusal because of our address               | the other address family, then another route (`attempt`, `routing`)      |
| 8-bit or UTF-8 refused although announced      | the same server again, in 7 bits                                         |
| TLS is offered and fails                       | the same address once more in plain text, unless a policy forbids it     |
| a policy forbids this host                     | the next host; none left: deferred, and the history says why             |
| a message or recipient is refused              | nothing: the outcome is final or deferred by the reply                   |
| lost after the final dot                       | nothing in this attempt: it may have arrived                             |

TLS without a policy is opportunistic (RFC 7435): any certificate is accepted, since the alternative is plain text. A relay's
certificate is verified unless its settings say otherwise, and no password is sent to it in plain text.
Promise: nothing but Cancelled is raised; every attempt ends with an Outcome for each recipient.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Protocol

import trio

from appliance.delivery.route import Relay, Route
from appliance.delivery.transport import DeliveryResult
from appliance.mail.clock import Clock
from appliance.mail.errors import MisuseError, PeerError, PeerSlow, SetupError
from appliance.mail.outcome import DsnAction, HostAttempt, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.mail.sentence import Sentence
from appliance.network.addresses import family_of, other_family
from appliance.network.certificate_fault import BadCertificate, explain
from appliance.network.dial import any_certificate, dial, no_route_out
from appliance.network.tls_end import require_close_notify

from .attempt import Attempt
from .mx import MailHost
from .preparation import Preparation
from .refusal import is_final_origin, reduced_offer
from .smtp_client import SMTP_TIMES, ClientEnded, SmtpClient

GOODBYE_S = 5.0


class HostFinder(Protocol):
    """`mx.MailHosts`."""

    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome: ...
    async def relay(self, name: str, port: int) -> tuple[MailHost, ...] | Outcome: ...
    def v6_failed(self) -> None: ...
    def refused(self, name: str, family: int) -> None: ...


class HostTls(Protocol):
    """The TLS policy towards one host: `tls_policy.TlsPolicy`."""

    @property
    def level(self) -> str:
        """ "may", "encrypt", "verify" or "dane"."""
        ...

    def context(self) -> ssl.SSLContext: ...
    def check(self, chain: Sequence[bytes], host: str) -> str: ...


class TlsPolicySource(Protocol):
    """`tls_policy.TlsPolicies`."""

    async def policy_for(self, domain: str, host: MailHost, *, require_tls: bool) -> HostTls | Outcome: ...
    async def record_session(self, domain: str, host: str, tls: str, verified: str) -> None: ...
    def record_failure(self, domain: str) -> None: ...
    def downgraded(self, domain: str) -> bool: ...


class OpportunisticTls:
    """The policy where none is published: any certificate, or none."""

    level = "may"

    def __init__(self) -> None:
        self._context = any_certificate()

    def context(self) -> ssl.SSLContext:
        return self._context

    def check(self, chain: Sequence[bytes], host: str) -> str:
        return "none"


class RelayTls:
    """The policy of a relay: its own name in a certificate from a CA this machine trusts."""

    def __init__(self, relay: Relay) -> None:
        self.level = "may" if relay.security == "none" else "verify"
        self._context = any_certificate() if relay.any_certificate or relay.security == "none" else ssl.create_default_context()
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        require_close_notify(self._context)

    def context(self) -> ssl.SSLContext:
        return self._context

    def check(self, chain: Sequence[bytes], host: str) -> str:
        return "certificate" if self._context.verify_mode is ssl.CERT_REQUIRED else "none"


class SmtpTransport:
    """`our_name` is the server's name in EHLO; `port` is 25 everywhere but in tests. `policies` None: opportunistic TLS only.
    `reached(bool)` is called with whether another server's port 25 could be reached."""

    def __init__(
        self,
        *,
        hosts: HostFinder,
        our_name: Callable[[], str],
        clock: Clock,
        port: int = 25,
        policies: TlsPolicySource | None = None,
        preparation: Preparation | None = None,
        reached: Callable[[bool], object] = lambda reached: None,
    ) -> None:
        self.hosts = hosts
        self.our_name = our_name
        self.clock = clock
        self.port = port
        self.policies = policies
        self.opportunistic = OpportunisticTls()
        self.preparation = preparation or Preparation()
        self.reached = reached
        self.times = SMTP_TIMES
        self.relay_size: Callable[[str, int], object] = lambda relay, octets: None
        """Called with a relay's name and the size of messages it announces, 0 for none."""
        self._relays: dict[str, RelayTls] = {}

    @asynccontextmanager
    async def session(self, destination: str, route: Route) -> AsyncIterator["SmtpTransportSession"]:
        """See `Transport`."""
        session = SmtpTransportSession(self, destination, route)
        try:
            yield session
        finally:
            with trio.move_on_after(GOODBYE_S, shield=True):
                await session.end()

    def relay_policy(self, relay: Relay) -> RelayTls:
        """Made once for each relay: the CA certificates of this machine take a megabyte."""
        if relay.name not in self._relays:
            self._relays[relay.name] = RelayTls(relay)
        return self._relays[relay.name]


class SmtpTransportSession:
    """A session with one of the destination's hosts, opened for the first message and reused for the next."""

    def __init__(self, transport: SmtpTransport, destination: str, route: Route) -> None:
        self._transport = transport
        self._destination = destination
        self._route = route
        self._client: SmtpClient | None = None
        self._target: tuple[MailHost, str] = (MailHost("", 0, ()), "")
        """Host and address of the connection, or of the last one."""
        self._host_attempts: list[HostAttempt] = []
        self._unreached: set[int] = set()
        """Address families of which an address could not be reached in this attempt."""
        self._routed = True
        self._verified = False
        """The connection satisfies REQUIRETLS: TLS with a verified server."""
        self._is_bounce = False
        """The message has the null sender: REQUIRETLS is requested, but a bounce is not lost for its lack (RFC 8689 §5)."""

    async def deliver(self, outgoing: OutgoingMessage) -> DeliveryResult:
        """See `TransportSession`."""
        self._host_attempts, self._unreached = [], set()
        self._is_bounce = outgoing.sender is None
        if self._route.gone:
            text = Sentence("The relay this message is queued for is not in the settings any more.")
            return DeliveryResult((Outcome(DsnAction.DEFERRED, "4.4.4", Reason.NO_ROUTE, text),) * len(outgoing.recipients))
        client = self._client
        hosts: tuple[MailHost, ...] = ()
        if client is not None and (client.closed or (outgoing.options.require_tls and not self._verified)):
            await self.end()
            client = None
        if client is None:
            found = await self._hosts()
            if isinstance(found, Outcome):
                return DeliveryResult((found,) * len(outgoing.recipients))
            hosts = found
        return await self._attempt(Attempt(outgoing, hosts), outgoing.options.require_tls)

    async def _attempt(self, attempt: Attempt, require_tls: bool) -> DeliveryResult:
        """Try one host after another until every recipient has an outcome, or no host is left."""
        last = Outcome(DsnAction.DEFERRED, "4.4.1", Reason.UNREACHABLE, "No connection to the other server.")
        dsn: list[bool] = []
        while self._client is not None or attempt.targets:
            if self._client is None:
                await self._connect_next(attempt, require_tls)
                continue
            outcomes, target = await self._transact(attempt.rest, require_tls), self._target
            client = self._client
            dsn.append(client.offer.dsn)
            for name in attempt.answered(*target, outcomes, over=client.closed):
                self._transport.hosts.refused(name, other_family(family_of(target[1])))
            if not attempt.goes_on:
                return DeliveryResult(attempt.outcomes(last), tuple(self._host_attempts), reusable=not client.closed, dsn_relayed=all(dsn))
            await self.end()
        return DeliveryResult(attempt.outcomes(last), tuple(self._host_attempts), dsn_relayed=bool(dsn) and all(dsn))

    async def _connect_next(self, attempt: Attempt, require_tls: bool) -> None:
        """Connect to the attempt's next address."""
        self._target = attempt.targets.pop(0)
        self._routed = True
        connected = await self._connect_by_policy(*self._target, require_tls=require_tls)
        if isinstance(connected, Outcome):
            attempt.no_connection(*self._target, connected, routed=self._routed)
            if connected.reason is Reason.SIGN_IN:
                attempt.targets = []
            return
        self._client = connected

    async def _transact(self, outgoing: OutgoingMessage, require_tls: bool) -> tuple[Outcome, ...]:
        """Send the message in the form the server accepts; once more in a reduced form when it refuses what it had announced."""
        outcomes: list[Outcome] = []
        todo = list(range(len(outgoing.recipients)))
        while True:
            client = self._client
            assert client is not None  # noqa: S101 - connected before
            ready = await self._transport.preparation.prepare(outgoing, client.offer, self._route)
            if isinstance(ready, Outcome):
                return tuple(outcomes) or (replace(ready, host=client.host),) * len(outgoing.recipients)
            some = replace(ready, recipients=tuple(ready.recipients[number] for number in todo))
            replies = await client.transact(some)
            outcomes = outcomes or list(replies)
            for number, outcome in zip(todo, replies, strict=True):
                outcomes[number] = outcome
            offers = {
                number: reduced_offer(client.offer, outcomes[number], eight=ready.options.body != "7BIT", utf8=ready.options.smtputf8)
                for number in todo
            }
            todo = [number for number in todo if offers[number] is not None]
            offer = next((offers[number] for number in todo), None)
            if offer is None or (client.closed and not await self._reconnect(require_tls)):
                return tuple(outcomes)
            if self._client is not None:
                self._client.offer = offer

    async def _reconnect(self, require_tls: bool) -> bool:
        """Connect to the same server once more; False, and the closed client stays, when that fails."""
        connected = await self._connect_by_policy(*self._target, require_tls=require_tls)
        if isinstance(connected, Outcome):
            return False
        ended, self._client = self._client, connected
        if ended is not None:
            await ended.stream.aclose()
        return True

    async def _hosts(self) -> tuple[MailHost, ...] | Outcome:
        relay = self._route.relay
        return await (
            self._transport.hosts.find(self._destination) if relay is None else self._transport.hosts.relay(relay.host, relay.port)
        )

    async def end(self) -> None:
        """QUIT and close the connection, if there is one."""
        client, self._client = self._client, None
        if client is not None:
            await client.quit()
            await client.stream.aclose()

    async def _connect_by_policy(self, host: MailHost, address: str, *, require_tls: bool) -> SmtpClient | Outcome:
        """Connect as the TLS policy requires; once more in plain text where the policy allows it."""
        policy = await self._policy_for(host, require_tls)
        if isinstance(policy, Outcome):
            return replace(policy, host=host.name)
        connected = await self._connect(host, address, policy, tls=True)
        if isinstance(connected, Outcome) and connected.reason is Reason.TLS and require_tls and self._is_bounce:
            usual = await self._policy_for(host, require_tls=False)
            if isinstance(usual, Outcome):
                return replace(usual, host=host.name)
            if usual.level != policy.level:
                policy = usual
                connected = await self._connect(host, address, policy, tls=True)
        if isinstance(connected, Outcome) and connected.reason is Reason.TLS:
            if self._route.relay is None and self._transport.policies is not None:
                self._transport.policies.record_failure(self._destination)
            if policy.level == "may":
                connected = await self._connect(host, address, policy, tls=False)
        if isinstance(connected, SmtpClient):
            self._verified = policy.level in ("verify", "dane")
            if family_of(address) == 4 and 6 in self._unreached:
                self._transport.hosts.v6_failed()
        return connected

    async def _policy_for(self, host: MailHost, require_tls: bool) -> HostTls | Outcome:
        if self._route.relay is not None:
            return self._transport.relay_policy(self._route.relay)
        if self._transport.policies is None:
            return self._transport.opportunistic
        policy = await self._transport.policies.policy_for(self._destination, host, require_tls=require_tls)
        if isinstance(policy, Outcome) and policy.action is DsnAction.FAILED and require_tls and self._is_bounce:
            return await self._transport.policies.policy_for(self._destination, host, require_tls=False)
        return policy

    async def _connect(self, host: MailHost, address: str, policy: HostTls, *, tls: bool) -> SmtpClient | Outcome:
        transport, relay, begun_mono = self._transport, self._route.relay, self._transport.clock.mono_s()
        port = relay.port if relay is not None else transport.port
        client: SmtpClient | None = None
        done, verified = False, ""
        try:
            stream = await dial(address, port, timeout_s=transport.times.connect_s)
            client = SmtpClient(stream, host.name, transport.times)
            if relay is None:
                transport.reached(True)
            verified = await self._open(client, host, policy, tls=tls)
            if (
                relay is None
                and transport.policies is not None
                and not client.stream.secure
                and transport.policies.downgraded(self._destination)
            ):
                verified = "downgraded"
            if relay is None and transport.policies is not None:
                await transport.policies.record_session(self._destination, host.name, client.stream.tls_version, verified)
            done = True
        except ClientEnded as end:
            return _defer_bare_refusal(end.outcome)
        except BadCertificate as fault:
            return _tls_failure(host, explain(fault, _tls_name(host.name), transport.clock.wall_s()))
        except PeerError as trouble:
            if client is not None:  # implicit TLS failed
                text = Sentence("%(host)s: %(trouble)s.", host=host.name, trouble=trouble)
                return Outcome(DsnAction.DEFERRED, "4.7.5", Reason.TLS, text, host.name)
            if relay is None:
                transport.reached(False)
            self._unreached.add(family_of(address))
            self._routed = not no_route_out(trouble)
            text = Sentence("%(host)s could not be reached.", host=host.name)
            if isinstance(trouble, PeerSlow):
                text = Sentence("%(host)s did not answer.", host=host.name)
            return Outcome(DsnAction.DEFERRED, "4.4.1", Reason.UNREACHABLE, text, host.name)
        finally:
            took_s = transport.clock.mono_s() - begun_mono
            secure = client.stream if client is not None and client.stream.secure else None
            version, cipher = (secure.tls_version, secure.tls_cipher) if secure else ("", "")
            self._host_attempts.append(HostAttempt(host.name, address, port, version, cipher, verified, took_s))
            if client is not None and not done:
                with trio.move_on_after(GOODBYE_S, shield=True), suppress(PeerError):
                    await client.stream.aclose()
        return client

    async def _open(self, client: SmtpClient, host: MailHost, policy: HostTls, *, tls: bool) -> str:
        """Greeting, TLS, AUTH; how the server was verified. Raises ClientEnded, PeerError."""
        relay, ours, name = self._route.relay, self._transport.our_name(), _tls_name(host.name)
        if relay is not None and relay.security == "tls":
            await client.stream.start_tls_as_client(policy.context(), name)
        await client.open(ours)
        wanted = tls and client.offer.starttls and not client.stream.secure and (relay is None or relay.security == "starttls")
        if wanted:
            await client.start_tls(policy.context(), name, ours)
        verified = ""
        if client.stream.secure:
            try:
                verified = policy.check(client.stream.peer_chain, host.name)
            except MisuseError as trouble:
                raise ClientEnded(_tls_failure(host, f"{trouble}")) from None
        elif policy.level != "may":
            raise ClientEnded(_tls_failure(host, Sentence("%(host)s offers no TLS, which this message requires.", host=host.name), "4.7.4"))
        if relay is not None and relay.user:
            await self._sign_in(client, relay)
        if relay is not None:
            self._transport.relay_size(relay.name, client.offer.size_octets)
        return verified

    async def _sign_in(self, client: SmtpClient, relay: Relay) -> None:
        from appliance.protocol.sasl.client import best

        secret = relay.secret
        try:
            password = secret.read() if secret else ""
        except SetupError as error:
            raise ClientEnded(Outcome(DsnAction.DEFERRED, "4.7.8", Reason.SIGN_IN, str(error), client.host)) from None
        exchange = best(client.offer.auth, relay.user, password, token=bool(secret and secret.token))
        if exchange is None:
            text = Sentence(
                "%(host)s offers no sign-in mechanism that this server knows (%(offered)s).",
                host=client.host,
                offered=", ".join(client.offer.auth[:8]) or "-",
            )
            raise ClientEnded(Outcome(DsnAction.DEFERRED, "4.7.8", Reason.SIGN_IN, text, client.host))
        await client.sign_in(exchange)


def _defer_bare_refusal(outcome: Outcome) -> Outcome:
    """A server that refuses every client at the greeting may accept tomorrow (RFC 5321 §3.1: 554 is not about the message)."""
    if outcome.action is DsnAction.FAILED and not is_final_origin(outcome):
        return replace(outcome, action=DsnAction.DEFERRED, status="4" + outcome.status[1:])
    return outcome


def _tls_name(name: str) -> str:
    """The name to verify a certificate for: of an address literal the address."""
    literal = name.strip("[]")
    return literal[5:] if name.startswith("[") and literal[:5].lower() == "ipv6:" else literal


def _tls_failure(host: MailHost, text: str, status: str = "4.7.5") -> Outcome:
    said = text if isinstance(text, Sentence) else f"{text[:1].upper()}{text[1:].rstrip('.')}."
    return Outcome(DsnAction.DEFERRED, status, Reason.TLS, said, host.name)
