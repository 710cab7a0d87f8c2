"""TLS of the listeners: one context for the current certificate, made anew when its files change.

Invariants: TLS 1.2 at least, forward secrecy and authenticated ciphers only, no session tickets; a connection keeps
the context it began with, so its channel binding stays that of the certificate it was served; a bad new file leaves
the old certificate in use and is published. Files that are not usable when the server starts are published too: until they are,
the `fallback` is served. How it fails: SetupError with a remedy when there is nothing to serve.
"""

import os
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from appliance.mail.clock import Clock
from appliance.mail.errors import MisuseError, SetupError
from appliance.mail.sentence import Sentence
from appliance.status.board import Board
from appliance.status.events import CertificateState, CertificateTrouble

from .tls_end import require_close_notify
from .x509 import CertificateDetails, parse_certificate

CHECK_S = 5.0
"""The files are checked at most this often, and only when a client connects."""
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2's; 1.3 has none to choose. Every mail program of the last ten years has these."""
CACHED_SESSIONS = 256
"""OpenSSL keeps resumable TLS 1.2 sessions in the context and Python cannot say no: a fresh context forgets them."""
FILE_OCTETS = 256 * 2**10
"""A larger file is no certificate."""


class CertificateInUse:
    """One certificate and the context that serves it; never changed."""

    __slots__ = ("context", "end_point", "facts")

    def __init__(self, context: ssl.SSLContext, facts: CertificateDetails) -> None:
        self.context = context
        self.facts = facts
        self.end_point = facts.end_point


class ServerTls:
    """The certificate and context of every listener; follows changes of the files.

    `certificate` is a PEM file, the server's own certificate first; `key` its unencrypted key (may be the same file).
    `source` is "own" for the user's files, "server" for those the server made. `fallback` is a file of the latter kind with both,
    served as long as the user's files have never been usable.
    """

    def __init__(
        self, certificate: Path, key: Path, *, clock: Clock, board: Board, source: str = "own", fallback: Path | None = None
    ) -> None:
        self._files = [(certificate, key, source)]
        if fallback is not None:
            self._files.append((fallback, fallback, "server"))
        self._clock = clock
        self._board = board
        self._stamps = self._read_stamps()
        self._checked_mono = clock.mono_s()
        self._handshakes = 0
        self._trouble: SetupError | None = None
        self._served, self.source = self._first_usable(self._files)
        self._announce()

    @property
    def facts(self) -> CertificateDetails:
        """Of the certificate in use."""
        return self._served.facts

    @property
    def file(self) -> Path:
        """Where the certificate in use was read from."""
        return next(certificate for certificate, _key, source in self._files if source == self.source)

    def current(self) -> CertificateInUse:
        """The certificate for a connection that begins now."""
        self._handshakes += 1
        now = self._clock.mono_s()
        if now - self._checked_mono >= CHECK_S:
            self._checked_mono = now
            if self._read_stamps() != self._stamps:
                self.reload()
        if not self._handshakes % CACHED_SESSIONS and self._served.context.session_stats()["number"] >= CACHED_SESSIONS:
            self.reload()
        return self._served

    def reload(self) -> bool:
        """Read the files again; False, and the old certificate stays, when they are not usable."""
        before, troubled, self._trouble = self._served, str(self._trouble or ""), None
        self._stamps = self._read_stamps()
        candidates = self._files if self.source != self._files[0][2] else self._files[:1]
        try:
            self._served, self.source = self._first_usable(candidates)
        except SetupError as e:
            self._trouble = e
            if str(e) != troubled:
                self._board.publish(CertificateTrouble(e.problem, e.remedy))
            return False
        if str(self._trouble or "") != troubled or self._served.facts.der != before.facts.der:
            self._announce()
        return self._trouble is None

    def _first_usable(self, files: Sequence[tuple[Path, Path, str]]) -> tuple[CertificateInUse, str]:
        """What to serve and its source; why the first was not usable stays in `_trouble`. Raises the SetupError of the first."""
        first, *others = files
        try:
            return self._load(*first[:2]), first[2]
        except SetupError as e:
            self._trouble = e
            for certificate, key, source in others:
                with suppress(SetupError):
                    return self._load(certificate, key), source
            raise

    def _announce(self) -> None:
        facts = self._served.facts
        self._board.publish(CertificateState(facts.names, facts.not_after_at, self.source))
        if self._trouble is not None:
            self._board.publish(CertificateTrouble(self._trouble.problem, self._trouble.remedy))

    def _read_stamps(self) -> tuple[tuple[int, int, int], ...]:
        """Time, size and inode of the files: they show a change."""
        return tuple(stamp for certificate, key, _source in self._files for stamp in _stamps(certificate, key))

    def _load(self, certificate: Path, key: Path) -> CertificateInUse:
        """Read certificate and key as a pair; what changes while it is read is read again."""
        for _attempt in range(3):
            stamps = _stamps(certificate, key)
            pem = _read(certificate)
            context = server_context()
            fault: Exception | None = None
            try:
                context.load_cert_chain(certificate, key, password=_no_password)
            except (OSError, ValueError) as e:  # ssl.SSLError is an OSError
                fault = e
            if _stamps(certificate, key) != stamps:
                continue
            if fault:
                raise _explain(fault, certificate, key)
            try:
                return CertificateInUse(context, parse_certificate(pem))
            except MisuseError as e:
                raise SetupError(
                    Sentence("%(certificate)s: %(e)s.", certificate=certificate, e=e),
                    "It must be a PEM file with the server's own certificate first.",
                ) from e
        raise SetupError(Sentence("%(certificate)s keeps changing.", certificate=certificate), "Try again when it is written.")


def _stamps(*paths: Path) -> tuple[tuple[int, int, int], ...]:
    stamps = []
    for path in paths:
        try:
            info = os.stat(path)  # noqa: PTH116  (Path.stat costs three times as much)
            stamps.append((info.st_mtime_ns, info.st_size, info.st_ino))
        except OSError:
            stamps.append((0, 0, 0))
    return tuple(stamps)


def usable(both: Path) -> bool:
    """Does the file hold a certificate and its key?"""
    try:
        server_context().load_cert_chain(both, password=_no_password)
    except (OSError, ValueError):
        return False
    return True


def server_context() -> ssl.SSLContext:
    """A context without a certificate yet."""
    context = require_close_notify(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
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
        raise SetupError(
            Sentence("%(path)s: %(strerror)s.", path=path, strerror=e.strerror), "Name a certificate file that the server may read."
        ) from e


def _no_password() -> str:
    """Instead of OpenSSL's prompt on the terminal."""
    raise ValueError("the key is encrypted")


def _explain(fault: Exception, certificate: Path, key: Path) -> SetupError:
    text = str(fault)
    if isinstance(fault, ssl.SSLError):
        reason = fault.reason or ""
        if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):  # the last: RSA beside ECDSA
            return SetupError(
                Sentence("%(key)s is not the key of %(certificate)s.", key=key, certificate=certificate),
                "Name the key that was made with it. The first certificate in the file must be the server's own, the others follow.",
            )
        if "KEY_TOO_SMALL" in reason or "MD_TOO_WEAK" in reason:
            return SetupError(
                Sentence("%(certificate)s is too weak to be trusted (%(reason)s).", certificate=certificate, reason=reason),
                "Have a new one made: P-256, or RSA of 2048 bits.",
            )
        return SetupError(
            Sentence(
                "%(certificate)s and %(key)s are not a certificate and its key (%(reason)s).",
                certificate=certificate,
                key=key,
                reason=reason or text,
            ),
            "Both must be PEM files, the server's own certificate first, the key without a password.",
        )
    if isinstance(fault, ValueError):
        return SetupError(Sentence("%(key)s: %(fault)s.", key=key, fault=fault), "Take the password off: openssl pkey -in KEY -out KEY.")
    problem = fault.strerror if isinstance(fault, OSError) and fault.strerror else text
    return SetupError(Sentence("%(key)s: %(problem)s.", key=key, problem=problem), "Name a key file that the server may read.")
