"""The Transport of the server: hosts in order or a relay, TLS as the policies want it, one connection for many messages.

| what goes wrong                                | what is tried next                                                       |
|------------------------------------------------|--------------------------------------------------------------------------|
| no connection, a refusing greeting, a lost one | the next address, then the next host (RFC 5321 §5.1)                     |
| 421 at any step                                | the same, for whoever is not settled (RFC 5321 §5.1, §4.2.1)             |
| a refusal of where we come from                | the other address family, then what the route says (`attempt`, `route`)  |
| 8-bit or UTF-8 refused although announced      | the same server again, in 7 bits                                         |
| TLS is offered and breaks                      | the same address once more in plain text, unless a policy forbids it     |
| a policy forbids this host                     | the next host; none left: a wait, and the history says why               |
| a message or recipient is refused               | nothing: that is an answer                                               |
| lost after the final dot                       | nothing now: it may have arrived                                         |

TLS without a policy is opportunistic (RFC 7435): any certificate will do, since plain text is what it is better than. A relay is
verified unless its settings say otherwise, and is never told a password in plain text.
Promise: nothing but Cancelled is raised; every message's attempt ends with an Outcome for each recipient.
"""

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Protocol

import trio

from appliance.delivery.route import Relay, Route
from appliance.delivery.transport import DeliveryResult
from appliance.mail.address import Address
from appliance.mail.clock import Clock
from appliance.mail.errors import MisuseError, PeerError, PeerSlow, SetupError
from appliance.mail.outcome import DeliveryStatus, HostAttempt, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.network.addresses import family_of, other_family
from appliance.network.certificate_fault import BadCertificate, explain
from appliance.network.dial import any_certificate, dial, no_route_out
from appliance.network.tls_end import require_close_notify

from .attempt import Attempt
from .mx import MailHost
from .preparation import Preparation, Signing_
from .refusal import is_final_origin, plainer
from .smtp_client import ClientEnded, SmtpClient

CONNECT_S = 30.0
"""For one address: RFC 5321 names no figure, and nobody real answers later."""
GOODBYE_S = 5.0


class HostFinder(Protocol):
    """`mx.MailHosts`."""

    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome: ...
    async def relay(self, name: str, port: int) -> tuple[MailHost, ...] | Outcome: ...
    def v6_failed(self) -> None: ...
    def refused(self, name: str, family: int) -> None: ...


class TlsRequirement(Protocol):
    """What TLS has to be towards one host: `tls_policy.Demand`."""

    @property
    def level(self) -> str:
        """ "may", "encrypt", "verify" or "dane"."""
        ...

    def context(self) -> ssl.SSLContext: ...
    def check(self, chain: Sequence[bytes], host: str) -> str: ...


class TlsPolicySource(Protocol):
    """`tls_policy.TlsPolicies`."""

    async def demand(self, domain: str, host: MailHost, *, require_tls: bool) -> TlsRequirement | Outcome: ...
    async def met(self, domain: str, host: str, tls: str, verified: str) -> None: ...
    def missed(self, domain: str) -> None: ...
    def downgraded(self, domain: str) -> bool: ...


class Opportunistic:
    """The Demand where nobody demands anything."""

    level = "may"

    def __init__(self) -> None:
        self._context = any_certificate()

    def context(self) -> ssl.SSLContext:
        return self._context

    def check(self, chain: Sequence[bytes], host: str) -> str:
        return "none"


class ByRelay:
    """The Demand of a relay: its own name, vouched for by an authority this machine knows."""

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
    """`our_name` is what the server calls itself in EHLO; `port` is 25 everywhere but in tests. `policies` None: opportunistic TLS
    only. `signer` signs for domains of ours. `is_theirs(person's sender, address)`: do messages to both come to the same person?"""

    def __init__(
        self,
        *,
        hosts: HostFinder,
        our_name: Callable[[], str],
        clock: Clock,
        port: int = 25,
        policies: TlsPolicySource | None = None,
        signer: Signing_ | None = None,
        is_theirs: Callable[[Address, Address], bool] = lambda sender, address: sender == address,
        reached: Callable[[bool], object] = lambda reached: None,
    ) -> None:
        """`reached` hears whether a stranger's port 25 could be reached."""
        self.hosts = hosts
        self.our_name = our_name
        self.clock = clock
        self.port = port
        self.policies = policies
        self.opportunistic = Opportunistic()
        self.preparing = Preparation(signer, is_theirs)
        self.reached = reached
        self._relays: dict[str, ByRelay] = {}

    @asynccontextmanager
    async def transport_session(self, destination: str, route: Route) -> AsyncIterator["SmtpTransportSession"]:
        """See `trip.Carrier`."""
        transport_session = SmtpTransportSession(self, destination, route)
        try:
            yield transport_session
        finally:
            with trio.move_on_after(GOODBYE_S, shield=True):
                await transport_session.end()

    def demand_of(self, relay: Relay) -> ByRelay:
        """Made once for each relay: the authorities this machine knows take a megabyte."""
        if relay.name not in self._relays:
            self._relays[relay.name] = ByRelay(relay)
        return self._relays[relay.name]


class SmtpTransportSession:
    """A connection to one of the destination's hosts, made for the first message and kept for the next."""

    def __init__(self, remote: SmtpTransport, destination: str, route: Route) -> None:
        self._remote = remote
        self._destination = destination
        self._route = route
        self._conversation: SmtpClient | None = None
        self._target: tuple[MailHost, str] = (MailHost("", 0, ()), "")
        """Whom the connection leads to, or led to last."""
        self._host_attempts: list[HostAttempt] = []
        self._unreached: set[int] = set()
        """Address families of which an address could not be reached in this attempt."""
        self._routed = True
        self._safe = False
        """The connection met what REQUIRETLS asks for: verified by more than opportunity."""
        self._is_bounce = False
        """The message at hand has the null sender: REQUIRETLS is asked for, but its lack loses no bounce (RFC 8689 §5)."""

    async def deliver(self, outgoing: OutgoingMessage, begun: Callable[[], None]) -> DeliveryResult:
        """See `trip.Trip`."""
        self._host_attempts, self._unreached = [], set()
        self._is_bounce = outgoing.sender is None
        if self._route.gone:
            text = "The relay this message waits for is no longer in the settings."
            return DeliveryResult((Outcome(DeliveryStatus.DEFERRED, "4.4.4", Reason.NO_ROUTE, text),) * len(outgoing.recipients))
        talking = self._conversation
        hosts: tuple[MailHost, ...] = ()
        if talking is not None and (talking.over or (outgoing.require_tls and not self._safe)):
            await self.end()
            talking = None
        if talking is None:
            found = await self._hosts()
            if isinstance(found, Outcome):
                return DeliveryResult((found,) * len(outgoing.recipients))
            hosts = found
        return await self._attempt(Attempt(outgoing, hosts), outgoing.require_tls, begun)

    async def _attempt(self, attempt: Attempt, require_tls: bool, begun: Callable[[], None]) -> DeliveryResult:
        """Ask one server after another until nobody is left, or nobody to ask."""
        last = Outcome(DeliveryStatus.DEFERRED, "4.4.1", Reason.UNREACHABLE, "No connection to the other server.")
        dsn: list[bool] = []
        while self._conversation is not None or attempt.targets:
            if self._conversation is None:
                await self._turn_to(attempt, require_tls)
                continue
            outcomes, target = await self._transact(attempt.rest, require_tls, begun), self._target
            talking = self._conversation
            dsn.append(talking.offer.dsn)
            for name in attempt.answered(*target, outcomes, over=talking.over):
                self._remote.hosts.refused(name, other_family(family_of(target[1])))
            if not attempt.goes_on:
                return DeliveryResult(attempt.outcomes(last), tuple(self._host_attempts), again=not talking.over, passed_on=all(dsn))
            await self.end()
        return DeliveryResult(attempt.outcomes(last), tuple(self._host_attempts), passed_on=bool(dsn) and all(dsn))

    async def _turn_to(self, attempt: Attempt, require_tls: bool) -> None:
        """Connect to the attempt's next address."""
        self._target = attempt.targets.pop(0)
        self._routed = True
        met = await self._meet(*self._target, require_tls=require_tls)
        if isinstance(met, Outcome):
            attempt.no_connection(*self._target, met, routed=self._routed)
            if met.reason is Reason.SIGN_IN:
                attempt.targets = []
            return
        self._conversation = met

    async def _transact(self, outgoing: OutgoingMessage, require_tls: bool, begun: Callable[[], None]) -> tuple[Outcome, ...]:
        """The message for one server in the form it takes: once more in a plainer one when it does not take what it announced."""
        outcomes: list[Outcome] = []
        todo = list(range(len(outgoing.recipients)))
        while True:
            talking = self._conversation
            assert talking is not None  # noqa: S101 - made before
            ready = await self._remote.preparing.prepare(outgoing, talking.offer, self._route)
            if isinstance(ready, Outcome):
                return tuple(outcomes) or (replace(ready, host=talking.host),) * len(outgoing.recipients)
            some = replace(ready, recipients=tuple(ready.recipients[number] for number in todo))
            got = await talking.transact(some, ready.octets, begun)
            outcomes = outcomes or list(got)
            for number, outcome in zip(todo, got, strict=True):
                outcomes[number] = outcome
            offers = {number: plainer(talking.offer, outcomes[number], eight=ready.body != "7BIT", utf8=ready.smtputf8) for number in todo}
            todo = [number for number in todo if offers[number] is not None]
            offer = next((offers[number] for number in todo), None)
            if offer is None or (talking.over and not await self._again(require_tls)):
                return tuple(outcomes)
            if self._conversation is not None:
                self._conversation.offer = offer

    async def _again(self, require_tls: bool) -> bool:
        """Connect to the same server once more; False, and the ended conversation stays, when that does not work."""
        met = await self._meet(*self._target, require_tls=require_tls)
        if isinstance(met, Outcome):
            return False
        ended, self._conversation = self._conversation, met
        if ended is not None:
            await ended.stream.aclose()
        return True

    async def _hosts(self) -> tuple[MailHost, ...] | Outcome:
        relay = self._route.relay
        return await (self._remote.hosts.find(self._destination) if relay is None else self._remote.hosts.relay(relay.host, relay.port))

    async def end(self) -> None:
        """Say good-bye, if anybody still listens."""
        talking, self._conversation = self._conversation, None
        if talking is not None:
            await talking.quit()
            await talking.stream.aclose()

    async def _meet(self, host: MailHost, address: str, *, require_tls: bool) -> SmtpClient | Outcome:
        """Up to where messages may be handed over, as safe as the policies ask; once more in plain text where they let us."""
        demand = await self._demand(host, require_tls)
        if isinstance(demand, Outcome):
            return replace(demand, host=host.name)
        met = await self._connect(host, address, demand, tls=True)
        if isinstance(met, Outcome) and met.reason is Reason.TLS and require_tls and self._is_bounce:
            usual = await self._demand(host, require_tls=False)
            if isinstance(usual, Outcome):
                return replace(usual, host=host.name)
            if usual.level != demand.level:
                demand = usual
                met = await self._connect(host, address, demand, tls=True)
        if isinstance(met, Outcome) and met.reason is Reason.TLS:
            if self._route.relay is None and self._remote.policies is not None:
                self._remote.policies.missed(self._destination)
            if demand.level == "may":
                met = await self._connect(host, address, demand, tls=False)
        if isinstance(met, SmtpClient):
            self._safe = demand.level in ("verify", "dane")
            if family_of(address) == 4 and 6 in self._unreached:
                self._remote.hosts.v6_failed()
        return met

    async def _demand(self, host: MailHost, require_tls: bool) -> TlsRequirement | Outcome:
        if self._route.relay is not None:
            return self._remote.demand_of(self._route.relay)
        if self._remote.policies is None:
            return self._remote.opportunistic
        demand = await self._remote.policies.demand(self._destination, host, require_tls=require_tls)
        if isinstance(demand, Outcome) and demand.delivery_status is DeliveryStatus.FAILED and require_tls and self._is_bounce:
            return await self._remote.policies.demand(self._destination, host, require_tls=False)
        return demand

    async def _connect(self, host: MailHost, address: str, demand: TlsRequirement, *, tls: bool) -> SmtpClient | Outcome:
        remote, relay, begun_mono = self._remote, self._route.relay, self._remote.clock.mono_s()
        port = relay.port if relay is not None else remote.port
        talking: SmtpClient | None = None
        done, verified = False, ""
        try:
            stream = await dial(address, port, timeout_s=CONNECT_S)
            talking = SmtpClient(stream, host.name)
            if relay is None:
                remote.reached(True)
            verified = await self._open(talking, host, demand, tls=tls)
            if (
                relay is None
                and remote.policies is not None
                and not talking.stream.secure
                and remote.policies.downgraded(self._destination)
            ):
                verified = "downgraded"
            if relay is None and remote.policies is not None:
                await remote.policies.met(self._destination, host.name, talking.stream.tls_version, verified)
            done = True
        except ClientEnded as end:
            return self._wait(end.outcome)
        except BadCertificate as fault:
            return _unsafe(host, explain(fault, _tls_name(host.name), remote.clock.wall_s()))
        except PeerError as trouble:
            if talking is not None:  # TLS from the start
                text = f"{host.name}: {trouble}."
                return Outcome(DeliveryStatus.DEFERRED, "4.7.5", Reason.TLS, text, host.name)
            if relay is None:
                remote.reached(False)
            self._unreached.add(family_of(address))
            self._routed = not no_route_out(trouble)
            text = f"{host.name} could not be reached."
            slow = isinstance(trouble, PeerSlow)
            return Outcome(
                DeliveryStatus.DEFERRED, "4.4.1", Reason.UNREACHABLE, text if not slow else f"{host.name} did not answer.", host.name
            )
        finally:
            took_s = remote.clock.mono_s() - begun_mono
            secure = talking.stream if talking is not None and talking.stream.secure else None
            version, cipher = (secure.tls_version, secure.tls_cipher) if secure else ("", "")
            self._host_attempts.append(HostAttempt(host.name, address, port, version, cipher, verified, took_s))
            if talking is not None and not done:
                with trio.move_on_after(GOODBYE_S, shield=True), suppress(PeerError):
                    await talking.stream.aclose()
        return talking

    async def _open(self, talking: SmtpClient, host: MailHost, demand: TlsRequirement, *, tls: bool) -> str:
        """Greeting, TLS, signing in; how the server was verified. Raises Ended, PeerError."""
        relay, ours, name = self._route.relay, self._remote.our_name(), _tls_name(host.name)
        if relay is not None and relay.security == "tls":
            await talking.stream.start_tls_as_client(demand.context(), name)
        await talking.open(ours)
        wanted = tls and talking.offer.starttls and not talking.stream.secure and (relay is None or relay.security == "starttls")
        if wanted:
            await talking.start_tls(demand.context(), name, ours)
        verified = ""
        if talking.stream.secure:
            try:
                verified = demand.check(talking.stream.peer_chain, host.name)
            except MisuseError as trouble:
                raise ClientEnded(_unsafe(host, f"{trouble}")) from None
        elif demand.level != "may":
            raise ClientEnded(_unsafe(host, f"{host.name} offers no TLS, and this message travels by TLS only", "4.7.4"))
        if relay is not None and relay.user:
            await self._sign_in(talking, relay)
        return verified

    async def _sign_in(self, talking: SmtpClient, relay: Relay) -> None:
        from appliance.protocol.sasl.client import best

        secret = relay.secret
        try:
            word = secret.read() if secret else ""
        except SetupError as error:
            raise ClientEnded(Outcome(DeliveryStatus.DEFERRED, "4.7.8", Reason.SIGN_IN, str(error), talking.host)) from None
        exchange = best(talking.offer.auth, relay.user, word, token=bool(secret and secret.token))
        if exchange is None:
            text = f"{talking.host} offers no way to sign in that this server knows ({', '.join(talking.offer.auth[:8]) or 'none'})."
            raise ClientEnded(Outcome(DeliveryStatus.DEFERRED, "4.7.8", Reason.SIGN_IN, text, talking.host))
        await talking.sign_in(exchange)

    @staticmethod
    def _wait(outcome: Outcome) -> Outcome:
        """A server that refuses everybody at the greeting may not do so tomorrow (RFC 5321 §3.1: 554 says nothing about a message)."""
        if outcome.delivery_status is DeliveryStatus.FAILED and not is_final_origin(outcome):
            return replace(outcome, delivery_status=DeliveryStatus.DEFERRED, status="4" + outcome.status[1:])
        return outcome


def _tls_name(name: str) -> str:
    """The name to ask a certificate for: of an address literal the address."""
    literal = name.strip("[]")
    return literal[5:] if name.startswith("[") and literal[:5].lower() == "ipv6:" else literal


def _unsafe(host: MailHost, text: str, status: str = "4.7.5") -> Outcome:
    return Outcome(DeliveryStatus.DEFERRED, status, Reason.TLS, f"{text[:1].upper()}{text[1:].rstrip('.')}.", host.name)
