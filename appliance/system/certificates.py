"""The house's own certificates: a local authority that devices trust once, and the server certificate it signs.

Promises: the authority can only vouch for this house (critical name constraints: local names, the served domains,
private addresses); keys are 0600, and each file (key and certificate in one) appears whole or not at all; the server
certificate lives at most 397 days and is made anew when a third of its life is left or the box has a new name or
address. Making needs `cryptography` (8 MB), so a child process does it: `python -m appliance.system.certificates`.
How it fails: SetupError on the first run, CertificateTrouble later; the certificate in use stays.
"""

import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import gmtime, strftime

import trio

from appliance.mail.clock import Clock
from appliance.mail.errors import MisuseError, SetupError
from appliance.network.x509 import BEGIN, END, Facts, parse_certificate
from appliance.status.board import Board
from appliance.status.events import CertificateTrouble

from .clock import BUILT_AT

AUTHORITY, SERVER = "authority.pem", "server.pem"
DAY_S = 86400
SERVER_DAYS = 397
"""Most that strict clients accept; the one day taken off before today counts."""
AUTHORITY_DAYS = 3652
LOOK_S = 3600.0
"""How often names, addresses and dates are looked at."""
LOOK_UNTRUSTED_S = 30.0
ADDRESSES = 16
LOCAL_NAMES = ("local", "home.arpa", "lan", "localhost")
PRIVATE = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8",
    "fc00::/7", "fe80::/10", "::1/128",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the server certificate is to name, and what else the authority may ever vouch for."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    permitted: tuple[str, ...]


def wanted(host: str, domains: Sequence[str], addresses: Sequence[str]) -> Wanted:
    """Names of the box `host` and of the served `domains`; only private addresses stay (the authority has no others)."""
    host = host.strip(".").lower()
    short = host.partition(".")[0]
    hosts = [name for name in (f"{short}.local", short, host) if _is_name(name)]
    served = [name for name in map(_ascii, domains) if _is_name(name)]
    names = dict.fromkeys([*hosts, "localhost", *(n for domain in served for n in (domain, f"mail.{domain}"))])
    permitted = dict.fromkeys([*LOCAL_NAMES, *(name for name in hosts if not name.endswith(".local")), *served])
    kept = dict.fromkeys(["127.0.0.1", "::1", *filter(is_private, addresses)])
    return Wanted(tuple(names), tuple(kept)[:ADDRESSES], tuple(permitted))


def box_addresses() -> list[str]:
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


def due(facts: Facts | None, want: Wanted, now_at: int, trusted: bool) -> str:
    """Why a server certificate must be made, or ""."""
    if facts is None:
        return "there is none"
    if missing := sorted({*want.names, *want.addresses} - set(facts.names)):
        return f"it does not name {', '.join(missing)}"
    if trusted:
        if now_at < facts.not_before_at:
            return "it begins in the future"
        if now_at > facts.not_after_at - (facts.not_after_at - facts.not_before_at) // 3:
            return "a third of its life is left"
    return ""


class OwnCertificates:
    """Keeps `directory`/server.pem good. `want` tells the names and addresses of the moment."""

    def __init__(self, directory: Path, *, clock: Clock, board: Board, say: Callable[[str], None], want: Callable[[], Wanted]) -> None:
        self._directory = directory
        self._clock = clock
        self._board = board
        self._say = say
        self._want = want
        self.server = directory / SERVER
        """Key and certificate in one file: certificate and key of `ServerTls`."""

    async def ensure(self, *, force: bool = False) -> bool:
        """Make what is missing or due; True when something was made. Raises SetupError."""
        want = self._want()
        now_at, trusted = int(self._clock.wall_s()), self._clock.trusted()
        why = "asked for" if force else due(_facts(self.server), want, now_at, trusted)
        if not why:
            return False
        lists = [",".join(part) for part in (want.names, want.addresses, want.permitted)]
        words = [str(self._directory), str(now_at), str(int(trusted)), *lists]
        done = await trio.run_process(
            [sys.executable, "-P", "-m", "appliance.system.certificates", *words], capture_stderr=True, capture_stdout=True, check=False
        )
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
            raise SetupError(f"No certificate could be made: {last[0]}.", f"Look at {self._directory}, or name a certificate of your own.")
        self._say(f"server certificate made, since {why}; {done.stdout.decode('utf-8', 'replace').strip()}")
        return True

    async def run(
        self, changed: Callable[[], object], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Look now and then for ever; `changed` is called after a new one was made (`ServerTls.reload`)."""
        task_status.started()
        while True:
            await trio.sleep(LOOK_S if self._clock.trusted() else LOOK_UNTRUSTED_S)
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
            raise SetupError("The house has not made certificates yet.", "Start it once, or name the directory with --data.")
        lines.append(f"{title}")
        if facts.names:
            lines.append(f"  names        {', '.join(facts.names)}")
        lines.append(f"  from         {strftime('%Y-%m-%d', gmtime(facts.not_before_at))}")
        lines.append(f"  until        {strftime('%Y-%m-%d', gmtime(facts.not_after_at))}")
        lines.append(f"  SHA-256      {facts.fingerprint}")
    return "\n".join(lines) + "\n"


def export(directory: Path) -> str:
    """The authority's certificate in PEM, without its key, for devices to trust. Raises SetupError."""
    pem = _text(directory / AUTHORITY)
    start, end = pem.find(BEGIN), pem.find(END)
    if start < 0 or end < 0:
        raise SetupError("The house has not made certificates yet.", "Start it once, or name the directory with --data.")
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
    """The A-label form that certificates carry; "" when there is none."""
    try:
        return domain.strip(".").encode("idna").decode("ascii").lower() if not domain.isascii() else domain.strip(".").lower()
    except UnicodeError:
        return ""


def _is_name(name: str) -> bool:
    """A host name that a certificate can carry (RFC 5280 §4.2.1.6): no underscores, no empty labels, no address."""
    labels = name.split(".")
    return name.isascii() and len(name) <= 253 and all(map(_is_label, labels)) and not labels[-1].isdigit()


def _is_label(label: str) -> bool:
    return 0 < len(label) <= 63 and label.replace("-", "").isalnum() and label[0] != "-" != label[-1]


def _facts(path: Path) -> Facts | None:
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
    """The child: DIRECTORY NOW TRUSTED NAMES ADDRESSES PERMITTED, lists joined by commas; 0, or a sentence on stderr."""
    from .certificate_maker import make

    directory, now_at, trusted, *lists = words
    names, addresses, permitted = (tuple(filter(None, part.split(","))) for part in lists)
    want, sure = Wanted(names, addresses, permitted), trusted == "1"
    try:
        print(make(Path(directory), want, not_before_at(int(now_at), sure), trusted=sure))
    except (OSError, ValueError) as e:
        print(e, file=sys.stderr)
        return 1
    return 0


def not_before_at(now_at: int, trusted: bool) -> int:
    """A day before now, since devices' clocks differ; BUILT_AT, surely past, while our own clock is not to be believed."""
    return now_at - DAY_S if trusted and now_at - DAY_S > BUILT_AT else BUILT_AT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
