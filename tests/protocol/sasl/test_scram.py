"""SCRAM-SHA-256: the RFC's own exchange, every refusal, and hostile octets."""

import hmac
from base64 import b64encode
from hashlib import pbkdf2_hmac, sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.protocol.sasl.mechanism import Challenge, CheckProof, Failed, Proved, ScramSecret, Step, WantSecret
from appliance.protocol.sasl.scram import MESSAGE_OCTETS, Scram, fresh_nonce

SALT = bytes.fromhex("5b6d99689d12358eeca04b141236fa81")
BINDING = {"tls-server-end-point": b"e" * 32}


def keys(password: bytes, salt: bytes = SALT, iterations: int = 4096) -> tuple[bytes, bytes]:
    salted = pbkdf2_hmac("sha256", password, salt, iterations)
    return sha256(hmac.digest(salted, b"Client Key", "sha256")).digest(), hmac.digest(salted, b"Server Key", "sha256")


SECRET = ScramSecret(SALT, 4096, (keys(b"another"), keys(b"pencil")))


def server(*, plus: bool = False, offered: bool = False, binding: dict[str, bytes] | None = None) -> Scram:
    return Scram(plus=plus, plus_offered=offered, channel_binding=binding or {}, nonce=lambda: b"server")


def client_final(server_first: bytes, first_bare: bytes, binding: bytes, password: bytes = b"pencil") -> bytes:
    """What an honest client answers."""
    fields = dict(field.split(b"=", 1) for field in server_first.split(b","))
    salted = pbkdf2_hmac("sha256", password, SALT, int(fields[b"i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = b"c=" + b64encode(binding) + b",r=" + fields[b"r"]
    auth_message = b",".join((first_bare, server_first, without_proof))
    signature = hmac.digest(sha256(client_key).digest(), auth_message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return without_proof + b",p=" + b64encode(proof)


def begin(mechanism: Scram, header: bytes = b"n,,", bare: bytes = b"n=user,r=client") -> bytes:
    assert mechanism.step(header + bare) == WantSecret("user")
    answer = mechanism.secret(SECRET)
    assert isinstance(answer, Challenge)
    return answer.octets


def word(step: Step) -> bytes:
    assert isinstance(step, Challenge)
    return step.octets


def test_the_exchange_of_rfc_7677_section_3() -> None:
    mechanism = Scram(plus=False, plus_offered=False, channel_binding={}, nonce=lambda: b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    assert mechanism.step(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == WantSecret("user")
    secret = ScramSecret(SALT, 4096, (keys(b"pencil"),))
    assert word(mechanism.secret(secret)) == b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    final = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert mechanism.step(final) == CheckProof()
    assert mechanism.verify() == 0
    assert word(mechanism.verdict()) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert mechanism.step(b"") == Proved(0)


def test_no_initial_response() -> None:
    mechanism = server()
    assert mechanism.step(None) == Challenge(b"")
    begin(mechanism)


def test_the_key_that_fits_is_named() -> None:
    for password, key in ((b"pencil", 1), (b"another", 0)):
        mechanism = server()
        first = begin(mechanism)
        assert mechanism.step(client_final(first, b"n=user,r=client", b"n,,", password)) == CheckProof()
        assert mechanism.verify() == key
        assert word(mechanism.verdict()).startswith(b"v=")
        assert mechanism.step(b"") == Proved(key)


def test_a_wrong_password_fails_at_once() -> None:
    mechanism = server()
    first = begin(mechanism)
    assert mechanism.step(client_final(first, b"n=user,r=client", b"n,,", b"wrong")) == CheckProof()
    assert mechanism.verify() is None
    assert mechanism.verdict() == Failed("SCRAM invalid-proof")
    assert isinstance(mechanism.step(b""), Failed)


def test_channel_binding_holds() -> None:
    header = b"p=tls-server-end-point,,"
    mechanism = server(plus=True, offered=True, binding=BINDING)
    first = begin(mechanism, header)
    bound = header + BINDING["tls-server-end-point"]
    assert mechanism.step(client_final(first, b"n=user,r=client", bound)) == CheckProof()
    assert mechanism.verify() == 1


@pytest.mark.parametrize(
    ("plus", "offered", "header", "binding", "refusal"),
    [
        (False, True, b"y,,", {}, "server-does-support-channel-binding"),
        (False, False, b"p=tls-server-end-point,,", BINDING, "channel-binding-not-supported"),
        (True, True, b"p=tls-unique,,", {**BINDING, "tls-unique": b"u"}, "unsupported-channel-binding-type"),
        (True, True, b"p=tls-exporter,,", BINDING, "unsupported-channel-binding-type"),
        (True, True, b"n,,", BINDING, "channel-bindings-dont-match"),
        (True, True, b"y,,", BINDING, "channel-bindings-dont-match"),
        (False, False, b"x,,", {}, "other-error"),
        (False, False, b"n,a=somebody-else,", {}, "other-error"),
    ],
)
def test_gs2_headers_that_are_refused(plus: bool, offered: bool, header: bytes, binding: dict[str, bytes], refusal: str) -> None:
    mechanism = server(plus=plus, offered=offered, binding=binding)
    assert mechanism.step(header + b"n=user,r=client") == Failed(f"SCRAM {refusal}")
    assert isinstance(mechanism.step(b""), Failed)


def test_y_is_fine_where_plus_was_not_offered() -> None:
    begin(server(), b"y,,")


def test_acting_for_oneself_is_fine() -> None:
    begin(server(), b"n,a=user,")


@pytest.mark.parametrize(
    ("bare", "refusal"),
    [
        (b"m=new,n=user,r=client", "extensions-not-supported"),
        (b"n=us=er,r=client", "invalid-username-encoding"),
        (b"n=us=2cer,r=client", "invalid-username-encoding"),
        (b"n=\xff,r=client", "invalid-username-encoding"),
        (b"n=,r=client", "invalid-username-encoding"),
        (b"n=us\0er,r=client", "invalid-username-encoding"),
        (b"n=user", "other-error"),
        (b"n=user,r=", "other-error"),
        (b"n=user,r=cl ient", "other-error"),
        (b"r=client,n=user", "other-error"),
    ],
)
def test_first_messages_that_are_refused(bare: bytes, refusal: str) -> None:
    assert server().step(b"n,," + bare) == Failed(f"SCRAM {refusal}")


def test_names_with_commas_and_equals_signs() -> None:
    assert server().step(b"n,,n=a=2Cb=3Dc=3D2C,r=client") == WantSecret("a,b=c=2C")


def test_final_messages_that_are_refused() -> None:
    bare, header = b"n=user,r=client", b"n,,"
    for change, refusal in (
        (lambda good: good.replace(b"c=biws", b"c=eSws"), "channel-bindings-dont-match"),
        (lambda good: good.replace(b"r=clientserver", b"r=clientservex"), "other-error"),
        (lambda good: good.replace(b"c=biws", b"c=b.ws"), "invalid-encoding"),
        (lambda good: good[:-8], "invalid-encoding"),
        (lambda good: good.partition(b",p=")[0], "other-error"),
        (lambda good: b"", "other-error"),
    ):
        mechanism = server()
        first = begin(mechanism, header, bare)
        assert mechanism.step(change(client_final(first, bare, header))) == Failed(f"SCRAM {refusal}")
        assert mechanism.verify() is None
        assert isinstance(mechanism.step(b""), Failed)


def test_messages_too_long_or_out_of_turn() -> None:
    assert isinstance(server().step(b"n,,n=user,r=" + b"c" * MESSAGE_OCTETS), Failed)
    assert isinstance(server().secret(SECRET), Failed)
    assert server().verify() is None
    assert isinstance(server().verdict(), Failed)
    mechanism = server()
    mechanism.step(b"n,,n=user,r=client")
    assert isinstance(mechanism.step(b"c=biws"), Failed)
    mechanism = server()
    first = begin(mechanism)
    mechanism.step(client_final(first, b"n=user,r=client", b"n,,"))
    mechanism.verify()
    assert mechanism.verify() is None
    mechanism.verdict()
    assert isinstance(mechanism.step(b"more"), Failed)
    assert isinstance(mechanism.step(b""), Failed)


def test_nonces_differ_and_are_printable() -> None:
    nonces = {fresh_nonce() for _ in range(100)}
    assert len(nonces) == 100
    assert all(b"," not in nonce and len(nonce) >= 24 and nonce.isascii() for nonce in nonces)


def test_nothing_secret_shows() -> None:
    assert keys(b"pencil")[0].hex() not in repr(SECRET)
    assert repr(keys(b"pencil")[0]) not in repr(SECRET)


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"n,,n=user,r=client", b"c=biws,r=clientserver,p=AAAA"])), max_size=5))
def test_any_octets_give_a_step_and_never_a_proof(messages: list[bytes]) -> None:
    mechanism = server()
    for message in messages:
        step = mechanism.step(message)
        if isinstance(step, WantSecret):
            step = mechanism.secret(SECRET)
        if isinstance(step, CheckProof):
            assert mechanism.verify() is None
            step = mechanism.verdict()
        assert isinstance(step, Challenge | Failed)
