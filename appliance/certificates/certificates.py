"""The server's own certificates: a local authority that devices trust once, and the server certificate it signs.

Promises: the authority can only vouch for this server (critical name constraints: local names, the served domains,
private addresses); keys are 0600, and each file (key and certificate in one) appears whole or not at all; the server
certificate lives at most 397 days and is made anew when a third of its life is left or the box has a new name or
address. Making needs `cryptography` (8 MB), so a child process does it: `python -m appliance.certificates.certificates`.

| authority.pem       | server.pem | what happens, unless a new authority is asked for                                    |
|---------------------|------------|--------------------------------------------------------------------------------------|
| none                | none       | both are made                                                                        |
| usable              | any        | it stays; the server certificate names what the authority may vouch for, no more    |
| missing or unusable | usable     | nothing is made, the server certificate is served to its end ("authority-error")   |
| missing or unusable | unusable   | both are made, the unusable file is kept aside ("authority-new")                     |
| missing, but made once before | missing | both are made, and devices must trust the new one ("authority-new")          |

Every device must trust a new authority by hand, so only `ensure(new_authority=True)` replaces a usable one. Names that it
cannot vouch for are left out of the server certificate and told ("certificate-names").
How it fails: SetupError on the first run, CertificateTrouble later; the certificate in use stays.
"""

import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import gmtime, strftime

import trio

from appliance.mail.address import ascii_domain, parse_domain
from appliance.mail.clock import Clock
from appliance.mail.errors import MisuseError, SetupError
from appliance.network.x509 import BEGIN, END, CertificateDetails, parse_certificate, permitted_names
from appliance.runtime.clock import BUILT_AT
from appliance.status.board import Board
from appliance.status.events import CertificateTrouble, ConditionFound

AUTHORITY, SERVER = "authority.pem", "server.pem"
FORMER, UNTRUSTED = "authority.former.pem", "authority.new"
"""The authority before, and an empty file that stands until somebody exports the one that replaced it."""
DAY_S = 86400
SERVER_DAYS = 397
"""Most that strict clients accept; the one day taken off before today counts."""
AUTHORITY_DAYS = 3652
LOOK_S = 3600.0
"""How often names, addresses and dates are looked at."""
LOOK_UNTRUSTED_S = 30.0
ENDING_S = 180 * DAY_S
"""An authority that ends so soon is told."""
ADDRESSES = 16
LOCAL_NAMES = ("local", "home.arpa", "lan", "localhost")
PRIVATE = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8",
    "fc00::/7", "fe80::/10", "::1/128",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WantedCertificate:
    """What the server certificate is to name, and what else the authority may ever vouch for."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    permitted: tuple[str, ...]


def wanted(host: str, domains: Sequence[str], addresses: Sequence[str]) -> WantedCertificate:
    """Names of the box `host` and of the served `domains`; only private addresses stay (the authority has no others)."""
    host = _ascii(host)
    short = host.partition(".")[0]
    hosts = [name for name in (f"{short}.local", short, host) if _is_name(name)]
    served = [name for name in map(_ascii, domains) if _is_name(name)]
    names = dict.fromkeys([*hosts, "localhost", *(n for domain in served for n in (domain, f"mail.{domain}"))])
    permitted = dict.fromkeys([*LOCAL_NAMES, *(name for name in hosts if not name.endswith(".local")), *served])
    kept = dict.fromkeys(["127.0.0.1", "::1", *filter(is_private, addresses)])
    return WantedCertificate(tuple(names), tuple(kept)[:ADDRESSES], tuple(permitted))


def host_addresses() -> list[str]:
    """Addresses of this machine's interfaces; [] where they cannot be read."""
    import fcntl  # here once an hour only

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _index, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asking, 0x8915, name.encode()[:15].ljust(256, b"\0"))  # SIOCGIFADDR
                found.append(socket.inet_ntoa(answer[20:24]))
            except OSError:
                continue
    try:
        rows = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        rows = []
    for row in rows:
        address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[:32]))
        if not address.startswith("fe80:"):  # needs a zone, which no certificate can name
            found.append(address)
    return found


def is_private(address: str) -> bool:
    """In one of PRIVATE's ranges."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        value = int.from_bytes(socket.inet_pton(family, address), "big")
    except OSError:
        return False
    width = 128 if family == socket.AF_INET6 else 32
    for network in PRIVATE:
        base, _slash, bits = network.partition("/")
        if (":" in base) == (":" in address):
            shift = width - int(bits)
            if value >> shift == int.from_bytes(socket.inet_pton(family, base), "big") >> shift:
                return True
    return False


@dataclass(frozen=True, slots=True)
class Authority:
    """What is known of the authority without its key; `permitted` None: it may vouch for every name."""

    facts: CertificateDetails
    permitted: tuple[str, ...] | None

    def vouches(self, name: str) -> bool:
        """May it sign a certificate with this DNS name? (RFC 5280 §4.2.1.10)"""
        return self.permitted is None or any(name == root or name.endswith(f".{root}") for root in self.permitted)


def read_authority(pem: str) -> Authority | None:
    """None when the file holds no certificate with a key."""
    try:
        facts = parse_certificate(pem)
        return Authority(facts, permitted_names(facts.der)) if "PRIVATE KEY-----" in pem else None
    except MisuseError:
        return None


def vouched(want: WantedCertificate, authority: Authority | None) -> tuple[WantedCertificate, tuple[str, ...]]:
    """What the server certificate can name, and the names left out. An authority that is still to be made vouches for all."""
    if authority is None:
        return want, ()
    kept = tuple(filter(authority.vouches, want.names))
    return replace(want, names=kept), tuple(name for name in want.names if name not in kept)


def due(
    facts: CertificateDetails | None, want: WantedCertificate, now_at: int, trusted: bool, *, authority_ends_at: int = sys.maxsize
) -> str:
    """Why a server certificate must be made, or "". Its life cannot reach beyond the end of its authority."""
    if facts is None:
        return "there is none"
    if missing := sorted({*want.names, *want.addresses} - set(facts.names)):
        return f"it does not name {', '.join(missing)}"
    if trusted:
        if now_at < facts.not_before_at:
            return "it begins in the future"
        last_third_at = facts.not_after_at - (facts.not_after_at - facts.not_before_at) // 3
        if now_at > last_third_at and facts.not_after_at < authority_ends_at:
            return "a third of its life is left"
    return ""


class OwnCertificates:
    """Keeps `directory`/server.pem good. `want` tells the names and addresses of the moment."""

    def __init__(
        self, directory: Path, *, clock: Clock, board: Board, say: Callable[[str], None], want: Callable[[], WantedCertificate]
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._board = board
        self._say = say
        self._want = want
        self._told: dict[str, tuple[str, ...]] = {}
        self._look_again = trio.Event()
        self.made_before = False
        """The database says that there was an authority (runtime/identity): one made now is not the first."""
        self.server = directory / SERVER
        """Key and certificate in one file: certificate and key of `ServerTls`."""
        self.in_use: Callable[[], bool] = lambda: True
        """Whether these are served: not with a certificate of the user's own."""

    async def ensure(self, *, force: bool = False, new_authority: bool = False) -> bool:
        """Make what is missing or due; True when something was made. Raises SetupError.

        `force`: a server certificate in any case. `new_authority`: both, and every device must trust the new one.
        """
        authority, server = read_authority(_text(self._directory / AUTHORITY)), _facts(self.server)
        now_at, trusted = int(self._clock.wall_s()), self._clock.trusted()
        why = self._why(authority, server, force=force, new_authority=new_authority)
        if not why:
            self._tell()
            return False
        if not new_authority and (trouble := self._authority_trouble(authority, server, stops_signing=True)):
            self._tell()
            if not force:
                return False
            raise SetupError(trouble[0], "Put it back from a backup, or run `pillarbox certificate new-authority`.")
        want = self._want() if new_authority else vouched(self._want(), authority)[0]
        lists = [",".join(part) for part in (want.names, want.addresses, want.permitted)]
        words = [str(self._directory), str(now_at), str(int(trusted)), str(int(new_authority)), *lists]
        done = await trio.run_process(
            [sys.executable, "-P", "-m", "appliance.certificates.certificates", *words],
            capture_stderr=True,
            capture_stdout=True,
            check=False,
        )
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
            raise SetupError(f"No certificate could be made: {last[0]}.", f"Look at {self._directory}, or name a certificate of your own.")
        if authority is None and self.made_before:
            (self._directory / UNTRUSTED).touch(mode=0o600)
        self._say(f"server certificate made, since {why}; {done.stdout.decode('utf-8', 'replace').strip()}")
        self._tell()
        return True

    def _why(self, authority: Authority | None, server: CertificateDetails | None, *, force: bool, new_authority: bool) -> str:
        if new_authority:
            return "a new authority was asked for"
        if force:
            return "it was asked for"
        ends_at = authority.facts.not_after_at if authority else sys.maxsize
        want = vouched(self._want(), authority)[0]
        return due(server, want, int(self._clock.wall_s()), self._clock.trusted(), authority_ends_at=ends_at)

    def left_out(self) -> tuple[str, ...]:
        """Names the server certificate should have and its authority cannot vouch for; () while these are not in use."""
        if not self.in_use():
            return ()
        return vouched(self._want(), read_authority(_text(self._directory / AUTHORITY)))[1]

    def exported(self) -> None:
        """Somebody has the authority's certificate now, to install it on devices."""
        with suppress(OSError):  # read-only storage: what was exported is right all the same
            (self._directory / UNTRUSTED).unlink(missing_ok=True)
        self._tell()

    def look_again(self) -> None:
        """Names, or the clock, may have changed: look now."""
        self._look_again.set()

    def _authority_trouble(
        self, authority: Authority | None, server: CertificateDetails | None, *, stops_signing: bool = False
    ) -> tuple[str, ...]:
        """What is wrong with the authority, in sentences; `stops_signing` leaves out what is only near."""
        if authority is None:
            unreadable = f"The authority {self._directory / AUTHORITY} cannot be read; without it no certificate can be renewed."
            return (unreadable,) if server else ()
        if not self._clock.trusted():
            return ()
        now_at, facts = self._clock.wall_s(), authority.facts
        if now_at >= facts.not_after_at:
            return ("The authority that devices trust has ended: they refuse this server.",)
        if now_at < facts.not_before_at - DAY_S and not stops_signing:
            return ("The authority that devices trust begins in the future, so they refuse this server.",)
        if now_at > facts.not_after_at - ENDING_S and not stops_signing:
            return (f"The authority that devices trust ends on {_day(facts.not_after_at)}.",)
        return ()

    def _tell(self) -> None:
        """Publish what holds now as conditions, each when it changes."""
        authority, server = read_authority(_text(self._directory / AUTHORITY)), _facts(self.server)
        used = self.in_use()
        left_out = self.left_out()
        names = f"The server certificate does not name {', '.join(left_out)}: the authority that devices trust was made without."
        anew = "The authority that signs the server certificate is new: devices refuse this server until they trust it."
        found = {
            "certificate-names": (names,) if left_out else (),
            "authority-error": self._authority_trouble(authority, server) if used else (),
            "authority-new": (anew,) if used and (self._directory / UNTRUSTED).exists() else (),
        }
        for key, sentences in found.items():
            if self._told.get(key, ()) != sentences:
                self._told[key] = sentences
                self._board.publish(ConditionFound(key, sentences))

    async def run(self, changed: Callable[[], object], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look now and then for ever; `changed` is called after a new one was made (`ServerTls.reload`)."""
        task_status.started()
        while True:
            with trio.move_on_after(LOOK_S if self._clock.trusted() else LOOK_UNTRUSTED_S):
                await self._look_again.wait()
            self._look_again = trio.Event()
            if not self.in_use():
                self._tell()
                continue
            try:
                if await self.ensure():
                    changed()
            except SetupError as e:
                self._board.publish(CertificateTrouble(e.problem))


def show(directory: Path) -> str:
    """Names, dates and fingerprints for people. Raises SetupError when there are none."""
    lines = []
    for title, name in (("server certificate", SERVER), ("authority to trust", AUTHORITY)):
        facts = _facts(directory / name)
        if facts is None:
            raise SetupError("The server has not made certificates yet.", "Start it once, or name the directory with --data.")
        lines += describe(title, facts)
    return "\n".join(lines) + "\n"


def describe(title: str, facts: CertificateDetails) -> list[str]:
    """One certificate in lines for people."""
    lines = [title]
    if facts.names:
        lines.append(f"  names        {', '.join(facts.names)}")
    return [
        *lines,
        f"  from         {_day(facts.not_before_at)}",
        f"  until        {_day(facts.not_after_at)}",
        f"  SHA-256      {facts.fingerprint}",
    ]


def _day(at: int) -> str:
    return strftime("%Y-%m-%d", gmtime(at))


def export(directory: Path) -> str:
    """The authority's certificate in PEM, without its key, for devices to trust. Raises SetupError."""
    pem = _text(directory / AUTHORITY)
    start, end = pem.find(BEGIN), pem.find(END)
    if start < 0 or end < 0:
        raise SetupError("The server has not made certificates yet.", "Start it once, or name the directory with --data.")
    return pem[start : end + len(END)] + "\n"


def write_whole(path: Path, data: bytes) -> None:
    """A private file (0600) that holds all of `data` after any power cut, or is as it was before."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _ascii(domain: str) -> str:
    """The A-label form that certificates carry (IDNA 2008, RFC 5891 §5); "" when there is none."""
    domain = domain.strip(".")
    if domain.isascii():
        return domain.lower()
    try:
        return ascii_domain(parse_domain(domain))
    except (MisuseError, UnicodeError):
        return ""


def _is_name(name: str) -> bool:
    """A host name that a certificate can carry (RFC 5280 §4.2.1.6): no underscores, no empty labels, no address."""
    labels = name.split(".")
    return name.isascii() and len(name) <= 253 and all(map(_is_label, labels)) and not labels[-1].isdigit()


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and label.replace("-", "").isalnum() and label[0] != "-" != label[-1]


def _facts(path: Path) -> CertificateDetails | None:
    try:
        return parse_certificate(_text(path))
    except MisuseError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def main(words: Sequence[str]) -> int:
    """The child: DIRECTORY NOW TRUSTED NEW-AUTHORITY NAMES ADDRESSES PERMITTED, lists joined by commas; 0, or a sentence on stderr."""
    from .maker import make

    directory, now_at, trusted, anew, *lists = words
    names, addresses, permitted = (tuple(filter(None, part.split(","))) for part in lists)
    want, sure = WantedCertificate(names, addresses, permitted), trusted == "1"
    try:
        print(make(Path(directory), want, not_before_at(int(now_at), sure), trusted=sure, new_authority=anew == "1"))
    except (OSError, ValueError) as e:
        print(e, file=sys.stderr)
        return 1
    return 0


def not_before_at(now_at: int, trusted: bool) -> int:
    """A day before now, since devices' clocks differ; BUILT_AT, surely past, while our own clock is not to be believed."""
    return now_at - DAY_S if trusted and now_at - DAY_S > BUILT_AT else BUILT_AT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
