"""DKIM signing: canonicalization by the examples of RFC 6376, every signature verified with dkimpy."""

import random
import time
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError
from appliance.mail.outgoing import Chunks
from appliance.mailauth import crypto
from appliance.mailauth.crypto import Signing
from appliance.mailauth.dkim_canonical import BodyHash, header_field
from appliance.mailauth.dkim_keys import SigningKey, records
from appliance.mailauth.dkim_sign import Signer
from appliance.runtime.dkim_key_files import main
from tests.support.clock import HandClock
from tests.support.corpus import messages
from tests.support.figures import report_figure

MESSAGE = (
    b"From: Ada <ada@home.example>\r\nTo: bob@far.example\r\nSubject:  two   words\r\n\tfolded\r\nX-Other: x\r\n"
    b"\r\nHello  you\t \r\n\r\nend\r\n\r\n\r\n"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[SigningKey, ...]:
    place = tmp_path_factory.mktemp("keys") / "dkim"
    assert main([str(place)]) == 0
    assert place.stat().st_mode & 0o777 == 0o700 and all(path.stat().st_mode & 0o777 == 0o600 for path in place.iterdir())
    found = []
    for path in sorted(place.glob("*.pem"), reverse=True):
        record, _, pem = path.read_bytes().partition(b"\n")
        found.append(SigningKey(path.stem, "rsa-sha256" if b"k=rsa" in record else "ed25519-sha256", record.decode(), pem))
    return tuple(found)


def chunks_of(message: bytes, size: int = 1000) -> Chunks:
    @asynccontextmanager
    async def chunks() -> AsyncIterator[AsyncIterator[bytes]]:
        async def each() -> AsyncIterator[bytes]:
            for start in range(0, len(message), size):
                yield message[start : start + size]

        yield each()

    return chunks


async def signed(keys: tuple[SigningKey, ...], message: bytes, size: int = 1000) -> bytes:
    return await Signer(lambda: keys, HandClock(1_790_000_000)).sign("home.example", chunks_of(message, size)) + message


def verifies(message: bytes, keys: tuple[SigningKey, ...]) -> bool:
    """Does dkimpy verify the first signature of the RSA key?"""
    published = {f"{selector}._domainkey.home.example.".encode(): value.encode() for selector, value in records(keys)}
    return bool(dkim.verify(message, dnsfunc=lambda name, timeout=5: published.get(name)))


def body_hash(body: bytes, cuts: list[int]) -> bytes:
    hashing, last = BodyHash(), 0
    for cut in sorted({min(one, len(body)) for one in cuts} | {len(body)}):
        hashing.feed(body[last:cut])
        last = cut
    return hashing.digest()


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),  # RFC 6376 §3.4.5
        (b"", b""), (b"\r\n\r\n", b""), (b"a", b"a\r\n"), (b"a  ", b"a\r\n"), (b"  \r\n a", b"\r\n a\r\n"), (b" \t ", b""),
        (b"a\r\n \r\n\t\r\n", b"a\r\n"), (b"a\rb\nc\r\n", b"a\rb\nc\r\n"), (b"\r\n\r\nx", b"\r\n\r\nx\r\n"), (b"a\r", b"a\r\r\n"),
    ],
)  # fmt: skip
def test_relaxed_body_canonicalization(body: bytes, canonical: bytes) -> None:
    for cuts in ([], [1], list(range(len(body)))):
        assert body_hash(body, cuts) == sha256(canonical).digest(), (body, cuts)


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"\r", b"\n", b"  ", b"word"]), max_size=40), st.lists(st.integers(0, 80)))
def test_body_hash_is_the_same_for_all_chunk_sizes_and_equals_dkimpy_s(parts: list[bytes], cuts: list[int]) -> None:
    body = b"".join(parts)
    assert body_hash(body, cuts) == body_hash(body, [])
    if b"\r" not in body.replace(b"\r\n", b"") and b"\n" not in body.replace(b"\r\n", b""):
        body += b"\r\n"  # without it dkimpy keeps the last line's trailing white space
        assert body_hash(body, []) == sha256(dkim.canonicalization.Relaxed.canonicalize_body(body)).digest() or not body.strip()


def test_an_endless_line_is_hashed_in_bounded_memory_and_linear_time() -> None:
    """PROMISES 4: linear; a message of 4 MB with long runs of spaces once took 16 seconds."""
    hashing, begun = BodyHash(), time.process_time()
    for _ in range(200):
        hashing.feed(b"x" * 10_000 + b" " * 10_000)
        assert len(hashing._rest) < 100_000
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("name", "value", "canonical"),
    [(b"A", b" X\r\n", b"a:X\r\n"), (b"B ", b" Y\t\r\n\tZ  \r\n", b"b:Y Z\r\n"), (b"Subject", b"\r\n x  y\r\n", b"subject:x y\r\n")],
)  # fmt: skip
def test_relaxed_header_canonicalization(name: bytes, value: bytes, canonical: bytes) -> None:
    assert header_field(name, value) == canonical


async def test_both_signatures_verify(keys: tuple[SigningKey, ...]) -> None:
    message = await signed(keys, MESSAGE)
    assert message.count(b"DKIM-Signature:") == 2 and verifies(message, keys)
    assert all(len(line) <= 78 for line in message.split(b"\r\n"))
    rsa = [key for key in keys if key.algorithm == "rsa-sha256"]
    assert verifies(await signed(tuple(rsa), MESSAGE, 7), keys)


async def test_the_ed25519_signature_verifies(keys: tuple[SigningKey, ...]) -> None:
    (key,) = [key for key in keys if key.algorithm == "ed25519-sha256"]
    message = await signed((key,), MESSAGE)
    public = Ed25519PublicKey.from_public_bytes(b64decode(key.record.partition("p=")[2]))
    field = message.partition(b"\r\nFrom:")[0]
    value, _, signature = field.partition(b":")[2].rpartition(b"b=")
    names = [name.strip().lower() for name in value.partition(b"h=")[2].partition(b";")[0].replace(b"\r\n ", b"").split(b":")]
    headers = {b"from": b" Ada <ada@home.example>", b"to": b" bob@far.example", b"subject": b"  two   words\r\n\tfolded"}
    left = dict(headers)
    signed_data = b"".join(header_field(name, left.pop(name)) for name in names if name in left)
    signed_data += header_field(b"DKIM-Signature", value + b"b=").removesuffix(b"\r\n")
    public.verify(b64decode(signature.replace(b"\r\n ", b"")), sha256(signed_data).digest())


async def test_a_changed_message_does_not_verify(keys: tuple[SigningKey, ...]) -> None:
    message = await signed(keys, MESSAGE)
    for old, new in ((b"two", b"too"), (b"Hello", b"Hullo"), (b"Subject:", b"Subject: another\r\nSubject:"), (b"end", b"end.")):
        assert not verifies(message.replace(old, new), keys), (old, new)
    assert verifies(message.replace(b"X-Other: x", b"X-Other: y"), keys), "fields that are not signed may change"
    assert verifies(b"Received: by relay\r\n" + message, keys)


async def test_no_signature_without_from_or_key_and_no_timestamp_without_a_trusted_clock(keys: tuple[SigningKey, ...]) -> None:
    assert await signed(keys, b"Subject: x\r\n\r\ny\r\n") == b"Subject: x\r\n\r\ny\r\n"
    assert await signed((), MESSAGE) == MESSAGE
    wrong = await Signer(lambda: keys, HandClock(trusted=False)).sign("home.example", chunks_of(MESSAGE))
    assert b" t=" not in wrong and verifies(wrong + MESSAGE, keys)
    every = bytes(range(256))
    for weird in (b"", b"From: a@b", b"From: a@b\r\n", b"\r\n\r\nx", b"From:\xff\xfe\r\n\r\n" + every, b" folded\r\nFrom: a\r\n\r\n"):
        await signed(keys, weird)


async def test_signing_with_the_cryptography_package_where_libcrypto_cannot_be_loaded(
    keys: tuple[SigningKey, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crypto, "libcrypto", lambda: None)
    assert verifies(await signed(keys, MESSAGE), keys)
    with pytest.raises(MisuseError):
        Signing(b"nonsense", hashed=True)
    monkeypatch.undo()
    with pytest.raises(MisuseError):
        Signing(b"nonsense", hashed=True)


async def test_cpu_time_of_a_signature(keys: tuple[SigningKey, ...]) -> None:
    signer, message = Signer(lambda: keys, HandClock(1_790_000_000)), chunks_of(MESSAGE + b"a line of words\r\n" * 300)
    await signer.sign("home.example", message)
    begun = time.process_time()
    for _ in range(50):
        await signer.sign("home.example", message)
    took_ms = (time.process_time() - begun) * 20
    report_figure("two signatures of a message of 5 KB", f"{took_ms:.2f} ms of CPU" + " (bar 4 ms)")
    body, begun = b"Some ordinary words of a message, with  two spaces now and then.\r\n" * 16_000, time.process_time()
    body_hash(body, list(range(0, len(body), 65_536)))
    report_figure("body hash", f"{len(body) / 1e6 / (time.process_time() - begun):.0f} MB/s" + " (bar 30 MB/s)")
    assert took_ms < 40


@pytest.mark.corpus
async def test_signatures_of_corpus_messages_verify(keys: tuple[SigningKey, ...]) -> None:
    corpus_messages = [one.octets for one in messages() if b"\nfrom:" in b"\n" + one.octets.lower()[:4000] and len(one.octets) < 300_000]
    wrong = []
    for message in random.Random(7).sample(corpus_messages, min(200, len(corpus_messages))):
        wire = message.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n")
        made = await signed(keys, wire, 4096)
        if made == wire:
            continue
        try:
            if not verifies(made, keys):
                wrong.append(wire[:200])
        except dkim.DKIMException as trouble:
            wrong.append(str(trouble).encode())
    assert not wrong, wrong[:3]
