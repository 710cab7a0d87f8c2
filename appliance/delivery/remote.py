"""The Carrier of the house: hosts in order, TLS where it is offered, one connection for many letters.

| what goes wrong                                | what is tried next                                                       |
|------------------------------------------------|--------------------------------------------------------------------------|
| no connection, a refusing greeting, a lost one | the next address, then the next host (RFC 5321 §5.1)                     |
| TLS is offered and breaks                      | the same address once more in plain text, unless the letter forbids it   |
| a letter or recipient is refused               | nothing: that is an answer                                               |
| lost after the final dot                       | nothing now: it may have arrived                                         |

TLS without a policy is opportunistic (RFC 7435): any certificate will do, since plain text is what it is better than.
Promise: nothing but Cancelled is raised; every letter's attempt ends with an Outcome for each recipient.
"""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Protocol

import trio

from appliance.mail.clock import Clock
from appliance.mail.errors import PeerError, PeerSlow
from appliance.mail.outcome import Fate, Meeting, Outcome, Reason
from appliance.mail.parcel import Parcel
from appliance.network.dial import dial

from .conversation import Conversation, Ended
from .mx import MailHost
from .trip import Delivery
from .way import Way

CONNECT_S = 30.0
"""For one address: RFC 5321 names no figure, and nobody real answers later."""
TRIED = 6
"""Addresses of one lane that are tried for one letter."""
GOODBYE_S = 5.0


class Hosts(Protocol):
    """`mx.MailHosts`."""

    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome: ...
    def v6_failed(self) -> None: ...


def any_certificate() -> ssl.SSLContext:
    """TLS 1.2 at least, with whoever answers (RFC 7435 §3)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Remote:
    """`our_name` is what the house calls itself in EHLO; `port` is 25 everywhere but in tests."""

    def __init__(self, *, hosts: Hosts, our_name: Callable[[], str], clock: Clock, port: int = 25) -> None:
        self.hosts = hosts
        self.our_name = our_name
        self.clock = clock
        self.port = port
        self.context = any_certificate()

    @asynccontextmanager
    async def trip(self, lane: str, way: Way) -> AsyncIterator["RemoteTrip"]:
        """See `trip.Carrier`. Known gap: relays are not spoken to yet."""
        trip = RemoteTrip(self, lane)
        try:
            yield trip
        finally:
            with trio.move_on_after(GOODBYE_S, shield=True):
                await trip.end()


class RemoteTrip:
    """A connection to one of the lane's hosts, made for the first letter and kept for the next."""

    def __init__(self, remote: Remote, lane: str) -> None:
        self._remote = remote
        self._lane = lane
        self._conversation: Conversation | None = None
        self._meetings: list[Meeting] = []
        self._left: list[tuple[MailHost, str]] = []

    async def deliver(self, parcel: Parcel, begun: Callable[[], None]) -> Delivery:
        """See `trip.Trip`."""
        self._meetings = []
        talking = self._conversation
        if talking is None or talking.over:
            found = await self._remote.hosts.find(self._lane)
            if isinstance(found, Outcome):
                return Delivery((found,) * len(parcel.recipients))
            self._left = [(host, address) for host in found for address in host.addresses][:TRIED]
            talking = None
        last = Outcome(Fate.DEFERRED, "4.4.1", Reason.UNREACHABLE, "No connection to the other house.")
        while True:
            if talking is None:
                if not self._left:
                    return Delivery((last,) * len(parcel.recipients), tuple(self._meetings))
                met = await self._meet(*self._left.pop(0), plain=not parcel.require_tls)
                if isinstance(met, Outcome):
                    last = met
                    continue
                talking = self._conversation = met
            outcomes = await talking.transact(parcel, parcel.octets, begun)
            if talking.over and self._left and all(one.reason in (Reason.LOST, Reason.NO_ANSWER) for one in outcomes):
                last, talking = outcomes[0], None
                await self.end()
                continue
            return Delivery(outcomes, tuple(self._meetings), again=not talking.over, passed_on=talking.offer.dsn)

    async def end(self) -> None:
        """Say good-bye, if anybody still listens."""
        talking, self._conversation = self._conversation, None
        if talking is not None:
            await talking.quit()
            await talking.stream.aclose()

    async def _meet(self, host: MailHost, address: str, *, plain: bool) -> Conversation | Outcome:
        """Up to EHLO, with TLS where it is offered; once more without it when it breaks and `plain` is allowed."""
        met = await self._connect(host, address, tls=True)
        if isinstance(met, Outcome) and met.reason is Reason.TLS and plain:
            met = await self._connect(host, address, tls=False)
        if isinstance(met, Conversation) and ":" not in address and any(":" in one.address for one in self._meetings[:-1]):
            self._remote.hosts.v6_failed()
        return met

    async def _connect(self, host: MailHost, address: str, *, tls: bool) -> Conversation | Outcome:
        remote, begun_mono = self._remote, self._remote.clock.mono_s()
        talking: Conversation | None = None
        done = False
        try:
            stream = await dial(address, remote.port, timeout_s=CONNECT_S)
            talking = Conversation(stream, host.name)
            await talking.open(remote.our_name())
            if tls and talking.offer.starttls:
                await talking.start_tls(remote.context, host.name.strip("[]"), remote.our_name())
            done = True
        except Ended as end:
            return self._wait(end.outcome)
        except PeerError as trouble:
            text = f"{host.name} could not be reached."
            slow = isinstance(trouble, PeerSlow)
            return Outcome(Fate.DEFERRED, "4.4.1", Reason.UNREACHABLE, text if not slow else f"{host.name} did not answer.", host.name)
        finally:
            took_s = remote.clock.mono_s() - begun_mono
            secure = talking.stream if talking is not None and talking.stream.secure else None
            version, cipher = (secure.tls_version, secure.tls_cipher) if secure else ("", "")
            self._meetings.append(Meeting(host.name, address, remote.port, version, cipher, "none" if secure else "", took_s))
            if talking is not None and not done:
                with trio.move_on_after(GOODBYE_S, shield=True), suppress(PeerError):
                    await talking.stream.aclose()
        return talking

    @staticmethod
    def _wait(outcome: Outcome) -> Outcome:
        """A house that refuses everybody at the door may not do so tomorrow (RFC 5321 §3.1: 554 says nothing about a letter)."""
        if outcome.fate is Fate.FAILED and outcome.reason is not Reason.REPUTATION:
            return replace(outcome, fate=Fate.DEFERRED, status="4" + outcome.status[1:])
        return outcome
