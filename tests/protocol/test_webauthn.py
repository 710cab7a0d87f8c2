"""protocol/webauthn: client data, authenticator data and public keys, right and hostile."""

from hashlib import sha256
from os import urandom

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import strategies as some

from appliance.mail.errors import MisuseError
from appliance.protocol.webauthn import (
    ATTESTED,
    CLIENT_DATA_OCTETS,
    CREATE,
    CREDENTIAL_OCTETS,
    EDDSA,
    ES256,
    GET,
    RS256,
    USER_PRESENT,
    USER_VERIFIED,
    check_authenticator_data,
    check_client_data,
    check_public_key,
    decode_base64url,
    encode_base64url,
    parse_authenticator_data,
)
from tests.support.authenticator import HOST, ORIGIN, VERIFIED, Authenticator, ceremony, client_data

HEAD = sha256(HOST.encode()).digest()


def attested(length: int, *rest: bytes, flags: int = VERIFIED) -> bytes:
    return b"".join((HEAD, bytes([flags | ATTESTED]), bytes(4), bytes(16), length.to_bytes(2, "big"), *rest))


def test_client_data_of_our_page_with_our_challenge() -> None:
    asked = ceremony()
    for more in ({}, {"crossOrigin": None}, {"other_keys_can_be_added_here": "do not compare"}):
        check_client_data(client_data(GET, asked, **more), GET, asked.challenge, ORIGIN)


@pytest.mark.parametrize("wrong", [
    {"type": CREATE}, {"type": None}, {"challenge": encode_base64url(bytes(32))}, {"challenge": ""}, {"challenge": None},
    {"challenge": ["x"]}, {"challenge": "\ud800"},
    {"origin": ORIGIN + ":8443"}, {"origin": ORIGIN + "/"}, {"origin": "http://mail.home.example"}, {"origin": "https://evil.example"},
    {"origin": None}, {"crossOrigin": True}, {"crossOrigin": "false"}, {"topOrigin": "https://evil.example"},
], ids=str)  # fmt: skip
def test_client_data_of_anything_else(wrong: dict[str, object]) -> None:
    asked = ceremony()
    with pytest.raises(MisuseError, match="client data"):
        check_client_data(client_data(GET, asked, **wrong), GET, asked.challenge, ORIGIN)


@pytest.mark.parametrize("octets", [
    b"", b"\xff", b"null", b"[]", b'"x"', b"1e999", b"[" * CLIENT_DATA_OCTETS, b'{"type":' * 500, b" " * (CLIENT_DATA_OCTETS + 1),
    "{}".encode("utf-16"), b"\xef\xbb\xbf{}",
], ids=lambda octets: repr(octets[:8]))  # fmt: skip
def test_client_data_that_is_no_object(octets: bytes) -> None:
    with pytest.raises(MisuseError, match="client data"):
        check_client_data(octets, GET, bytes(32), ORIGIN)


def test_authenticator_data_in_both_forms() -> None:
    key = Authenticator(sign_count=7)
    data = parse_authenticator_data(key.make(ceremony()).authenticator_data)
    assert (data.sign_count, data.credential) == (7, key.credential)
    check_authenticator_data(data, HOST)
    data = parse_authenticator_data(key.sign(ceremony()).authenticator_data)
    assert (data.sign_count, data.credential) == (7, b"")
    check_authenticator_data(data, HOST)


def test_whatever_follows_the_identifier_is_not_read() -> None:
    """Where CBOR stands: of any depth, length or none."""
    for rest in (b"", b"\x9f" * 60_000, b"\x81" * 60_000, b"\xbb" + b"\xff" * 8, b"\x5f\x5b\xff\xff\xff\xff\xff\xff\xff\xff", urandom(900)):
        assert parse_authenticator_data(attested(4, b"cred", rest)).credential == b"cred"


@pytest.mark.parametrize("octets", [
    b"", HEAD, HEAD + bytes([VERIFIED]) + bytes(3), HEAD + bytes([VERIFIED | ATTESTED]) + bytes(4), attested(0), attested(5, b"cred"),
    attested(CREDENTIAL_OCTETS + 1, bytes(CREDENTIAL_OCTETS + 1)), attested(0xFFFF, bytes(900)), attested(4, b"cred")[:54],
], ids=len)  # fmt: skip
def test_authenticator_data_that_ends_early_or_says_too_much(octets: bytes) -> None:
    with pytest.raises(MisuseError, match="authenticator data"):
        parse_authenticator_data(octets)


@given(some.binary(max_size=200))
def test_any_octets_are_authenticator_data_or_refused(octets: bytes) -> None:
    try:
        found = parse_authenticator_data(octets)
    except MisuseError:
        return
    assert found.name_digest == octets[:32] and found.credential in octets


@pytest.mark.parametrize(("host", "flags"), [
    ("evil.example", VERIFIED), ("home.example", VERIFIED), (HOST, USER_PRESENT), (HOST, USER_VERIFIED), (HOST, 0),
])  # fmt: skip
def test_another_name_or_a_user_who_was_not_verified(host: str, flags: int) -> None:
    data = parse_authenticator_data(sha256(host.encode()).digest() + bytes([flags]) + bytes(4))
    with pytest.raises(MisuseError):
        check_authenticator_data(data, HOST)


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_public_keys_as_browsers_write_them(algorithm: int) -> None:
    octets = Authenticator(algorithm).public_key
    check_public_key(algorithm, octets)
    for other in {ES256, EDDSA, RS256, -37} - {algorithm}:
        with pytest.raises(MisuseError, match="of another kind"):
            check_public_key(other, octets)
    for wrong in (octets[:-1], octets + b"\0", octets[1:], b""):
        if algorithm != RS256 or len(wrong) < 100:
            with pytest.raises(MisuseError, match="of another kind"):
                check_public_key(algorithm, wrong)


def test_public_keys_of_other_kinds() -> None:
    made = (ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256K1()), ed448.Ed448PrivateKey.generate(),
            rsa.generate_private_key(65537, 1024))  # fmt: skip
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    for key in made:
        octets = key.public_key().public_bytes(serialization.Encoding.DER, form)
        for algorithm in (ES256, EDDSA, RS256):
            with pytest.raises(MisuseError, match="of another kind"):
                check_public_key(algorithm, octets)


@given(some.binary(max_size=64))
def test_base64url_and_back(octets: bytes) -> None:
    assert decode_base64url(encode_base64url(octets), 64) == octets


@pytest.mark.parametrize("text", ["a", "ab=c", "ä", "ab cd", "ab\ncd", "A" * 7])
def test_what_is_no_base64url(text: str) -> None:
    with pytest.raises(MisuseError):
        decode_base64url(text, 4)
