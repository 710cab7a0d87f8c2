"""The status board: events in, one picture out, and a wake-up for whoever waits for the next picture.

`publish` is synchronous: it never waits, never fails and never writes to the card. It belongs to trio's thread.
No queues: a slow reader misses pictures in between, never the last. Memory is bounded: counters, and small rings
of recent letters, refusals and wrong passwords.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import trio

from appliance.mail.clock import Clock

from .conditions import conditions_of
from .events import (
    CertificateState,
    CertificateTrouble,
    ClockState,
    Event,
    HouseState,
    LetterAccepted,
    LetterRefused,
    ListenerDown,
    ListenerUp,
    LoginFailed,
    LoginSucceeded,
    PartCrashed,
    PartRunning,
    PeopleState,
    SessionClosed,
    SessionFailed,
    SessionOpened,
    SessionRefused,
    StorageState,
    StorageTrouble,
)
from .snapshot import (
    CertificateFacts,
    DeliveryFacts,
    ListenerFacts,
    LoginFacts,
    PartFacts,
    RefusalFacts,
    SessionFacts,
    Snapshot,
    StorageFacts,
)

RECENT = 20
"""Letters and refusals remembered."""
GUESSES = 256
"""Wrong passwords remembered for counting those of the last ten minutes."""
LATELY_S = 600
STALE_S = 1.0
"""A picture older than this is made anew, since some conditions depend on the time."""

PROTOCOLS = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")


class Sessions:
    """Counters of one protocol."""

    __slots__ = ("failed", "octets_in", "octets_out", "open", "opened", "refused")

    def __init__(self) -> None:
        self.open = self.opened = self.refused = self.failed = self.octets_in = self.octets_out = 0


class Board:
    """The one place where events are folded; `feed` is told every event after it was folded (the journal)."""

    def __init__(self, clock: Clock, feed: Callable[[Event], None] | None = None) -> None:
        self.version = 0
        self._clock = clock
        self._feed = feed
        self._moved: trio.Event | None = None
        self._picture: Snapshot | None = None
        self._pictured_mono = 0.0
        self._started_mono = clock.mono_s()
        self._phase = "starting"
        self._clock_step_s = 0.0
        self._people: PeopleState | None = None
        self._listeners: dict[tuple[str, str, int], str] = {}
        self._sessions: dict[str, Sessions] = {}
        self._logins = self._wrong = 0
        self._guesses: deque[tuple[float, str]] = deque(maxlen=GUESSES)
        self._accepted = self._refused = self._octets = 0
        self._deliveries: deque[tuple[float, LetterAccepted]] = deque(maxlen=RECENT)
        self._refusals: deque[tuple[float, LetterRefused]] = deque(maxlen=RECENT)
        self._storage = StorageFacts(0, 0, 0, "", "")
        self._certificate = CertificateFacts((), 0, "", "")
        self._parts: dict[str, PartFacts] = {}
        self._folds: dict[type, Callable[[Any], None]] = {
            ListenerUp: self._listener_up,
            ListenerDown: self._listener_down,
            SessionOpened: self._session_opened,
            SessionClosed: self._session_closed,
            SessionRefused: self._session_refused,
            SessionFailed: self._session_failed,
            LoginSucceeded: self._login_succeeded,
            LoginFailed: self._login_failed,
            LetterAccepted: self._letter_accepted,
            LetterRefused: self._letter_refused,
            StorageState: self._storage_state,
            StorageTrouble: self._storage_trouble,
            PartCrashed: self._part_crashed,
            PartRunning: self._part_running,
            CertificateState: self._certificate_state,
            CertificateTrouble: self._certificate_trouble,
            ClockState: self._clock_state,
            HouseState: self._house_state,
            PeopleState: self._people_state,
        }

    def publish(self, event: Event) -> None:
        """Fold one event and wake who waits; an event of no known kind only raises the version."""
        fold = self._folds.get(type(event))
        if fold is not None:
            fold(event)
        self.version += 1
        if self._moved is not None:
            self._moved.set()
            self._moved = None
        if self._feed is not None:
            self._feed(event)

    def snapshot(self) -> Snapshot:
        """The picture now; the same object until something happened or a second passed."""
        mono = self._clock.mono_s()
        if self._picture is None or self._picture.version != self.version or mono - self._pictured_mono > STALE_S:
            bare = self._draw(mono)
            self._picture = replace(bare, conditions=conditions_of(bare))
            self._pictured_mono = mono
        return self._picture

    async def changed(self, since: int) -> Snapshot:
        """Wait until the version is above `since`; the latest picture."""
        while self.version <= since:
            if self._moved is None:
                self._moved = trio.Event()
            await self._moved.wait()
        return self.snapshot()

    # --- one fold an event ----------------------------------------------------------------------

    def _of(self, protocol: str) -> Sessions:
        row = self._sessions.get(protocol)
        if row is None:
            row = self._sessions[protocol] = Sessions()
        return row

    def _listener_up(self, e: ListenerUp) -> None:
        self._listeners[e.protocol, e.host, e.port] = ""

    def _listener_down(self, e: ListenerDown) -> None:
        if e.reason:
            self._listeners[e.protocol, e.host, e.port] = e.reason
        else:  # closed on purpose
            self._listeners.pop((e.protocol, e.host, e.port), None)

    def _session_opened(self, e: SessionOpened) -> None:
        row = self._of(e.protocol)
        row.open += 1
        row.opened += 1

    def _session_closed(self, e: SessionClosed) -> None:
        row = self._of(e.protocol)
        row.open -= 1
        row.octets_in += e.octets_in
        row.octets_out += e.octets_out

    def _session_refused(self, e: SessionRefused) -> None:
        self._of(e.protocol).refused += 1

    def _session_failed(self, e: SessionFailed) -> None:
        self._of(e.protocol).failed += 1

    def _login_succeeded(self, e: LoginSucceeded) -> None:
        self._logins += 1

    def _login_failed(self, e: LoginFailed) -> None:
        self._wrong += 1
        self._guesses.append((self._clock.mono_s(), e.peer))

    def _letter_accepted(self, e: LetterAccepted) -> None:
        self._accepted += 1
        self._octets += e.octets
        self._deliveries.append((self._clock.wall_s(), e))

    def _letter_refused(self, e: LetterRefused) -> None:
        self._refused += 1
        self._refusals.append((self._clock.wall_s(), e))

    def _storage_state(self, e: StorageState) -> None:
        self._storage = replace(self._storage, free_octets=e.free_octets, total_octets=e.total_octets, mail_octets=e.mail_octets)

    def _storage_trouble(self, e: StorageTrouble) -> None:
        self._storage = replace(self._storage, trouble=e.kind, trouble_text=e.text if e.kind else "")

    def _part_crashed(self, e: PartCrashed) -> None:
        before = self._parts.get(e.part)
        self._parts[e.part] = PartFacts(e.part, e.fault, (before.crashes if before else 0) + 1, e.restart_in_s)

    def _part_running(self, e: PartRunning) -> None:
        before = self._parts.get(e.part)
        self._parts[e.part] = PartFacts(e.part, "", before.crashes if before else 0, 0.0)

    def _certificate_state(self, e: CertificateState) -> None:
        self._certificate = CertificateFacts(e.names, e.not_after_at, e.source, "")

    def _certificate_trouble(self, e: CertificateTrouble) -> None:
        self._certificate = replace(self._certificate, trouble=e.reason)

    def _clock_state(self, e: ClockState) -> None:
        self._clock_step_s = e.step_s or self._clock_step_s

    def _house_state(self, e: HouseState) -> None:
        self._phase = e.phase

    def _people_state(self, e: PeopleState) -> None:
        self._people = e

    # --- the picture ----------------------------------------------------------------------------

    def _draw(self, mono: float) -> Snapshot:
        lately = [peer for at, peer in self._guesses if mono - at < LATELY_S]
        people = self._people
        order = {name: place for place, name in enumerate(PROTOCOLS)}
        return Snapshot(
            version=self.version,
            at=int(self._clock.wall_s()),
            phase=self._phase,
            running_s=mono - self._started_mono,
            clock_trusted=self._clock.trusted(),
            clock_step_s=self._clock_step_s,
            people=people.people if people else 0,
            domains=people.domains if people else (),
            people_known=people is not None,
            listeners=tuple(ListenerFacts(*key, reason) for key, reason in self._listeners.items()),
            sessions=tuple(
                SessionFacts(name, row.open, row.opened, row.refused, row.failed, row.octets_in, row.octets_out)
                for name, row in sorted(self._sessions.items(), key=lambda item: order.get(item[0], len(order)))
            ),
            logins=LoginFacts(self._logins, self._wrong, len(lately), len(set(lately))),
            letters_accepted=self._accepted,
            letters_refused=self._refused,
            letters_octets=self._octets,
            deliveries=tuple(
                DeliveryFacts(int(at), e.protocol, e.peer, e.sender, e.recipients, e.octets, e.duration_s, e.letter)
                for at, e in reversed(self._deliveries)
            ),
            refusals=tuple(
                RefusalFacts(int(at), e.protocol, e.peer, e.sender, e.recipient, e.reply) for at, e in reversed(self._refusals)
            ),
            storage=self._storage,
            certificate=self._certificate,
            parts=tuple(self._parts.values()),
        )
