"""The server's own certificates: a local authority that devices trust once, and the server certificate it signs.

Guarantees: the authority can only certify this server (critical name constraints: local names, the served domains,
private addresses); keys are 0600, and each file (key and certificate in one) is written atomically; the server
certificate lives at most 397 days and is renewed when a third of its life is left or the host has a new name or
address. Making needs `cryptography` (8 MB), so a child process does it: `python -m appliance.certificates.maker`.

| authority.pem       | server.pem | what happens, unless a new authority is asked for                                    |
|---------------------|------------|--------------------------------------------------------------------------------------|
| none                | none       | both are made                                                                        |
| usable              | any        | it stays; the server certificate names what the authority can certify, no more       |
| missing or unusable | usable     | nothing is made, the server certificate is served until it expires ("authority-error") |
| missing or unusable | unusable   | both are made, the unusable file is kept as FORMER ("authority-new")                |
| missing, but made once before | missing | both are made, and devices must trust the new one ("authority-new")          |

Every device must trust a new authority by hand, so only `ensure(new_authority=True)` replaces a usable one. Names that it
cannot certify are left out of the server certificate and reported ("certificate-names").
How it fails: SetupError on the first run, CertificateTrouble later; the certificate in use stays.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import gmtime, strftime

import trio

from appliance.mail.clock import Clock
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence, joined
from appliance.network.x509 import BEGIN, END, CertificateDetails
from appliance.status.board import Board
from appliance.status.events import CertificateTrouble, ConditionFound

from .contents import AUTHORITY, DAY_S, SERVER, UNTRUSTED, Authority, WantedCertificate, certified, details_of, due, read_authority, text_of

LOOK_S = 3600.0
"""How often names, addresses and dates are checked."""
LOOK_UNTRUSTED_S = 30.0
"""The same while the clock is not trusted."""
ENDING_S = 180 * DAY_S
"""An authority that ends within this time is a condition."""


class OwnCertificates:
    """Keeps `directory`/server.pem valid. `want` returns the names and addresses of the moment."""

    def __init__(
        self, directory: Path, *, clock: Clock, board: Board, log: Callable[[str], None], want: Callable[[], WantedCertificate]
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._board = board
        self._log = log
        self._want = want
        self._published: dict[str, tuple[str, ...]] = {}
        self._look_again = trio.Event()
        self.made_before = False
        """There was an authority before, by the database (runtime/identity): one made now is not the first."""
        self.server = directory / SERVER
        """Key and certificate in one file: certificate and key of `ServerTls`."""
        self.in_use: Callable[[], bool] = lambda: True
        """Whether these are served: not with a certificate of the user's own."""

    async def ensure(self, *, force: bool = False, new_authority: bool = False) -> bool:
        """Make what is missing or due; True when something was made. Raises SetupError.

        `force`: a server certificate in any case. `new_authority`: both, and every device must trust the new one.
        """
        authority, server = read_authority(text_of(self._directory / AUTHORITY)), details_of(self.server)
        now_at, trusted = int(self._clock.wall_s()), self._clock.trusted()
        why = self._why(authority, server, force=force, new_authority=new_authority)
        if not why:
            self._publish()
            return False
        if not new_authority and (trouble := self._authority_trouble(authority, server, stops_signing=True)):
            self._publish()
            if not force:
                return False
            raise SetupError(trouble[0], "Put it back from a backup, or run `pillarbox certificate new-authority`.")
        want = self._want() if new_authority else certified(self._want(), authority)[0]
        lists = [",".join(part) for part in (want.names, want.addresses, want.permitted)]
        command = [str(self._directory), str(now_at), str(int(trusted)), str(int(new_authority)), *lists]
        done = await trio.run_process(
            [sys.executable, "-P", "-m", "appliance.certificates.maker", *command],
            capture_stderr=True,
            capture_stdout=True,
            check=False,
        )
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
            raise SetupError(
                Sentence("No certificate could be made: %(last)s.", last=last[0]),
                Sentence("Check %(directory)s, or name a certificate of your own.", directory=self._directory),
            )
        if authority is None and self.made_before:
            (self._directory / UNTRUSTED).touch(mode=0o600)
        self._log(f"server certificate made, since {why}; {done.stdout.decode('utf-8', 'replace').strip()}")
        self._publish()
        return True

    def _why(self, authority: Authority | None, server: CertificateDetails | None, *, force: bool, new_authority: bool) -> str:
        if new_authority:
            return "a new authority was requested"
        if force:
            return "it was requested"
        ends_at = authority.facts.not_after_at if authority else sys.maxsize
        want = certified(self._want(), authority)[0]
        return due(server, want, int(self._clock.wall_s()), self._clock.trusted(), authority_ends_at=ends_at)

    def left_out(self) -> tuple[str, ...]:
        """Names the server certificate should have and its authority cannot vouch for; () while these are not in use."""
        if not self.in_use():
            return ()
        return certified(self._want(), read_authority(text_of(self._directory / AUTHORITY)))[1]

    def exported(self) -> None:
        """The authority's certificate was exported, to be installed on devices."""
        with suppress(OSError):  # read-only storage: the export is right all the same
            (self._directory / UNTRUSTED).unlink(missing_ok=True)
        self._publish()

    def look_again(self) -> None:
        """Names, or the clock, may have changed: check now."""
        self._look_again.set()

    def _authority_trouble(
        self, authority: Authority | None, server: CertificateDetails | None, *, stops_signing: bool = False
    ) -> tuple[str, ...]:
        """What is wrong with the authority, in sentences; `stops_signing` leaves out what does not yet prevent signing."""
        if authority is None:
            file = self._directory / AUTHORITY
            unreadable = Sentence("The authority %(file)s cannot be read; without it no certificate can be renewed.", file=file)
            return (unreadable,) if server else ()
        if not self._clock.trusted():
            return ()
        now_at, facts = self._clock.wall_s(), authority.facts
        if now_at >= facts.not_after_at:
            return (Sentence("The authority that devices trust has expired: they refuse this server."),)
        if now_at < facts.not_before_at - DAY_S and not stops_signing:
            return (Sentence("The authority that devices trust is not valid yet, so they refuse this server."),)
        if now_at > facts.not_after_at - ENDING_S and not stops_signing:
            return (Sentence("The authority that devices trust ends on %(date)s.", date=_day(facts.not_after_at)),)
        return ()

    def _publish(self) -> None:
        """Publish the conditions that hold now, each when it changes."""
        authority, server = read_authority(text_of(self._directory / AUTHORITY)), details_of(self.server)
        used = self.in_use()
        left_out = self.left_out()
        names = Sentence(
            "The server certificate does not name %(names)s: the authority that devices trust was made without them.",
            names=", ".join(left_out),
        )
        anew = Sentence("The authority that signs the server certificate is new: devices refuse this server until they trust it.")
        found = {
            "certificate-names": (names,) if left_out else (),
            "authority-error": self._authority_trouble(authority, server) if used else (),
            "authority-new": (anew,) if used and (self._directory / UNTRUSTED).exists() else (),
        }
        for key, sentences in found.items():
            if self._published.get(key, ()) != sentences:
                self._published[key] = sentences
                self._board.publish(ConditionFound(key, sentences))

    async def run(self, changed: Callable[[], object], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Check at intervals, for ever; `changed` is called after a new one was made (`ServerTls.reload`)."""
        task_status.started()
        while True:
            with trio.move_on_after(LOOK_S if self._clock.trusted() else LOOK_UNTRUSTED_S):
                await self._look_again.wait()
            self._look_again = trio.Event()
            if not self.in_use():
                self._publish()
                continue
            try:
                if await self.ensure():
                    changed()
            except SetupError as e:
                self._board.publish(CertificateTrouble(e.problem))


def show(directory: Path) -> str:
    """Names, dates and fingerprints of both certificates as text. Raises SetupError when there are none."""
    lines: list[str] = []
    for title, name in ((Sentence("server certificate"), SERVER), (Sentence("authority to trust"), AUTHORITY)):
        facts = details_of(directory / name)
        if facts is None:
            raise SetupError("The server has not made certificates yet.", "Start it once, or name the directory with --data.")
        lines += describe(title, facts)
    return joined(*lines, by="\n")


def describe(title: str, facts: CertificateDetails) -> list[str]:
    """One certificate as lines of text."""
    names = ", ".join(facts.names)
    return [
        title,
        *([Sentence("  names        %(names)s", names=names)] if names else []),
        Sentence("  from         %(day)s", day=_day(facts.not_before_at)),
        Sentence("  until        %(day)s", day=_day(facts.not_after_at)),
        f"  SHA-256      {facts.fingerprint}",
    ]


def _day(at: int) -> str:
    return strftime("%Y-%m-%d", gmtime(at))


def export(directory: Path) -> str:
    """The authority's certificate in PEM, without its key, for devices to trust. Raises SetupError."""
    pem = text_of(directory / AUTHORITY)
    start, end = pem.find(BEGIN), pem.find(END)
    if start < 0 or end < 0:
        raise SetupError("The server has not made certificates yet.", "Start it once, or name the directory with --data.")
    return pem[start : end + len(END)] + "\n"
