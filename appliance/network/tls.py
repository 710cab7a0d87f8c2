"""The server's side of TLS: one context for the certificate of the moment, made anew when its files change.

Kept here: TLS 1.2 at least, forward secrecy and authenticated ciphers only, no session tickets; a connection keeps
the context it began with, so its channel binding stays that of the certificate it was served; a bad new file leaves
the old certificate in use and is announced. How it fails: SetupError with a remedy when there is nothing to serve.
"""

import os
import ssl
from pathlib import Path

from appliance.mail.clock import Clock
from appliance.mail.errors import MisuseError, SetupError
from appliance.status.board import Board
from appliance.status.events import CertificateState, CertificateTrouble

from .x509 import Facts, parse_certificate

CHECK_S = 5.0
"""The files are looked at at most this often, and only when somebody connects."""
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2's; 1.3 has none to choose. Every mail program of the last ten years has these."""
CACHED_SESSIONS = 256
"""OpenSSL keeps resumable TLS 1.2 sessions in the context and Python cannot say no: a fresh context forgets them."""
FILE_OCTETS = 256 * 2**10
"""More is no certificate file."""


class Served:
    """One certificate and the context that serves it; never changed."""

    __slots__ = ("context", "end_point", "facts")

    def __init__(self, context: ssl.SSLContext, facts: Facts) -> None:
        self.context = context
        self.facts = facts
        self.end_point = facts.end_point


class ServerTls:
    """What every listener asks for its context; holds the files' certificate and follows their changes.

    `certificate` is a PEM file, the server's own certificate first; `key` its unencrypted key (may be the same file).
    `source` is "own" for the person's files, "house" for those the house made.
    """

    def __init__(self, certificate: Path, key: Path, *, clock: Clock, board: Board, source: str = "own") -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._board = board
        self._source = source
        self._marks: tuple[tuple[int, int, int], ...] = ()
        self._checked_mono = clock.mono_s()
        self._handshakes = 0
        self._troubled = ""
        self._served = self._load()
        self._announce()

    def current(self) -> Served:
        """The certificate for a connection that begins now."""
        self._handshakes += 1
        now = self._clock.mono_s()
        if now - self._checked_mono >= CHECK_S:
            self._checked_mono = now
            if self._look() != self._marks:
                self.reload()
        if not self._handshakes % CACHED_SESSIONS and self._served.context.session_stats()["number"] >= CACHED_SESSIONS:
            self.reload()
        return self._served

    def reload(self) -> bool:
        """Read the files again; False, and the old certificate stays, when they are not usable."""
        before = self._served
        try:
            self._served = self._load()
        except SetupError as e:
            if str(e) != self._troubled:
                self._troubled = str(e)
                self._board.publish(CertificateTrouble(e.problem))
            return False
        if self._troubled or self._served.facts.der != before.facts.der:
            self._announce()
        self._troubled = ""
        return True

    def _announce(self) -> None:
        facts = self._served.facts
        self._board.publish(CertificateState(facts.names, facts.not_after_at, self._source))

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        marks = []
        for path in (self._certificate, self._key):
            try:
                info = os.stat(path)  # noqa: PTH116  (Path.stat costs three times as much)
                marks.append((info.st_mtime_ns, info.st_size, info.st_ino))
            except OSError:
                marks.append((0, 0, 0))
        return tuple(marks)

    def _load(self) -> Served:
        """Read certificate and key as they belong together; what changes while it is read is read again."""
        for _attempt in range(3):
            marks = self._look()
            pem = _read(self._certificate)
            context = server_context()
            fault: Exception | None = None
            try:
                context.load_cert_chain(self._certificate, self._key, password=_no_password)
            except (OSError, ValueError) as e:  # ssl.SSLError is an OSError
                fault = e
            if self._look() != marks:
                continue
            self._marks = marks
            if fault:
                raise _explain(fault, self._certificate, self._key)
            try:
                return Served(context, parse_certificate(pem))
            except MisuseError as e:
                raise SetupError(f"{self._certificate}: {e}.", "It must be a PEM file with the server's own certificate first.") from e
        raise SetupError(f"{self._certificate} keeps changing.", "Try again when it is written.")


def server_context() -> ssl.SSLContext:
    """A context without a certificate yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    return context


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(FILE_OCTETS).decode("ascii", "replace")
    except OSError as e:
        raise SetupError(f"{path}: {e.strerror}.", "Name a certificate file that the house may read.") from e


def _no_password() -> str:
    """OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")


def _explain(fault: Exception, certificate: Path, key: Path) -> SetupError:
    text = str(fault)
    if isinstance(fault, ssl.SSLError):
        reason = fault.reason or ""
        if reason == "KEY_VALUES_MISMATCH":
            return SetupError(f"{key} is not the key of {certificate}.", "Name the key that was made with this certificate.")
        if "KEY_TOO_SMALL" in reason or "MD_TOO_WEAK" in reason:
            return SetupError(f"{certificate} is too weak to be trusted ({reason}).", "Have a new one made: P-256, or RSA of 2048 bits.")
        return SetupError(
            f"{certificate} and {key} are not a certificate and its key ({reason or text}).",
            "Both must be PEM files, the server's own certificate first, the key without a password.",
        )
    if isinstance(fault, ValueError):
        return SetupError(f"{key}: {fault}.", "Take the password off: openssl pkey -in KEY -out KEY.")
    problem = fault.strerror if isinstance(fault, OSError) and fault.strerror else text
    return SetupError(f"{key}: {problem}.", "Name a key file that the house may read.")
