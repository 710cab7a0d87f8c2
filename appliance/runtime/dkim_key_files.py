"""DKIM signing keys: one file each in DATA/dkim, generated once in a child process, readable by the server alone.

A file is the record to publish, a line end, and the private key in PEM; its name is the selector. Files found there are
used, so keys can be copied from another server or rotated: add a new pair and remove the old files a week later.
How it fails: SetupError with the remedy; messages are then sent unsigned, and the condition "dkim-unsigned" says so.
"""

import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import trio

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence
from appliance.mailauth.dkim_keys import SigningKey

from .atomic_file import write_whole

LONGEST_OCTETS = 16_384
SELECTORS = (("pillarbox-rsa", "rsa-sha256"), ("pillarbox-ed", "ed25519-sha256"))
KINDS = {"k=rsa": "rsa-sha256", "k=ed25519": "ed25519-sha256"}


class DkimFiles:
    """See above. `keys` is () before `ensure`, which awaits `loaded` once it has read them."""

    def __init__(
        self, directory: Path, *, log: Callable[[str], object], loaded: Callable[[Sequence[SigningKey]], Awaitable[None]] | None = None
    ) -> None:
        self._directory = directory
        self._log = log
        self._loaded = loaded
        self._making = trio.Lock()
        self.keys: tuple[SigningKey, ...] = ()

    async def ensure(self) -> tuple[SigningKey, ...]:
        """Make the keys where there are none, and read them. Raises SetupError."""
        async with self._making:
            if not self.keys:
                found = await trio.to_thread.run_sync(self._read)
                if not found:
                    await self._make()
                    found = await trio.to_thread.run_sync(self._read)
                self.keys = found
                if self._loaded is not None:
                    await self._loaded(found)
        return self.keys

    async def present(self) -> tuple[SigningKey, ...]:
        """The keys there are; generates none. Raises SetupError where messages could not be signed now."""
        return self.keys or await trio.to_thread.run_sync(self._read)

    def _read(self) -> tuple[SigningKey, ...]:
        keys = []
        try:
            names = [path.name for path in self._directory.iterdir()]  # glob would treat an unreadable directory as empty
            for path in [self._directory / name for name in sorted(names, reverse=True) if name.endswith(".pem") and name[0] != "."]:
                with path.open("rb") as file:
                    record, _, pem = file.read(LONGEST_OCTETS).partition(b"\n")
                kind = next((algorithm for word, algorithm in KINDS.items() if word.encode() in record), "")
                if not kind or b"PRIVATE KEY" not in pem:
                    raise SetupError(
                        Sentence("%(path)s is not a signing key.", path=path), "Remove it; a new one is made at the next start."
                    )
                keys.append(SigningKey(path.stem, kind, record.decode("ascii", "replace"), pem))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise SetupError(
                Sentence("%(directory)s: %(strerror)s.", directory=self._directory, strerror=error.strerror),
                "The server must be able to read its signing keys.",
            ) from error
        return tuple(keys)

    async def _make(self) -> None:
        arguments = [sys.executable, "-P", "-m", "appliance.runtime.dkim_key_files", str(self._directory)]
        done = await trio.run_process(arguments, capture_stderr=True, capture_stdout=True, check=False)
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
            raise SetupError(
                Sentence("No signing keys could be made: %(last)s.", last=last[0]),
                Sentence("Look at %(directory)s.", directory=self._directory),
            )
        self._log("signing keys made; what to publish: pillarbox domain records")


def main(arguments: Sequence[str]) -> int:
    """The child: DIRECTORY; 0, or a sentence on stderr."""
    from base64 import b64encode

    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    directory = Path(arguments[0])
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for selector, algorithm in SELECTORS:
            key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
            if algorithm == "rsa-sha256":
                key = rsa.generate_private_key(65_537, 2048)
                public, kind = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "rsa"
            else:
                key = ed25519.Ed25519PrivateKey.generate()
                public, kind = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), "ed25519"
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            record = f"v=DKIM1; k={kind}; p={b64encode(public).decode()}\n"
            write_whole(directory / f"{selector}.pem", record.encode() + pem)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
