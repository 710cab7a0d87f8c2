"""The key pair that push services know this server by (VAPID, RFC 8292): DATA/certificates/vapid.pem, made once in a child process.

The file is the public key as clients get it (RFC 9749 §3), a line end, and the private key in PEM. Without the file another pair is made,
and what was subscribed with the former key has to be subscribed anew.
How it fails: SetupError with the remedy; push subscriptions are then not announced.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import trio

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from .atomic_file import write_whole

NAME = "vapid.pem"
LONGEST_OCTETS = 4096
PUBLIC_CHARACTERS = 87
"""An uncompressed point of P-256 in base64url (RFC 9749 §3)."""


class VapidKey(NamedTuple):
    public: str
    pem: bytes


class VapidKeyFile:
    """`directory`: where it is, made when it is missing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._making = trio.Lock()
        self._key: VapidKey | None = None

    async def key(self) -> VapidKey:
        """Read once; made where there is none. Raises SetupError."""
        async with self._making:
            if self._key is None:
                self._key = await trio.to_thread.run_sync(self._read)
            if self._key is None:
                await self._make()
                self._key = await trio.to_thread.run_sync(self._read)
            if self._key is None:
                raise _not_made(f"{self._directory / NAME}")
        return self._key

    def _read(self) -> VapidKey | None:
        path = self._directory / NAME
        try:
            with path.open("rb") as file:
                public, _, pem = file.read(LONGEST_OCTETS).partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            problem = Sentence("%(directory)s: %(strerror)s.", directory=path, strerror=error.strerror)
            raise SetupError(problem, "The server must be able to read it.") from error
        if len(public) != PUBLIC_CHARACTERS or b"PRIVATE KEY" not in pem:
            raise SetupError(Sentence("%(path)s is not a key for push services.", path=path), "Remove it; a new one is made.")
        return VapidKey(public.decode("ascii", "replace"), pem)

    async def _make(self) -> None:
        arguments = [sys.executable, "-P", "-m", "appliance.runtime.vapid_key_file", str(self._directory)]
        done = await trio.run_process(arguments, capture_stderr=True, capture_stdout=True, check=False)
        if done.returncode:
            raise _not_made(done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2])


def _not_made(reason: str) -> SetupError:
    return SetupError(Sentence("No key for push services could be made: %(reason)s.", reason=reason))


def main(arguments: Sequence[str]) -> int:
    """The child: DIRECTORY; 0, or a sentence on stderr."""
    from base64 import urlsafe_b64encode

    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = ec.generate_private_key(ec.SECP256R1())
    public = urlsafe_b64encode(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).rstrip(b"=")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        directory = Path(arguments[0])
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(directory / NAME, public + b"\n" + pem)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
