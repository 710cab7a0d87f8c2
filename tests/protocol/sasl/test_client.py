"""SASL as a client: the RFC's example, malformed challenges, and the choice of the strongest mechanism."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.sasl.client import ClientLogin, ClientPlain, ClientScram, XOAuth2, best

NONCE = b"rOprNGfwEbeRWgbNEkqO"
SERVER = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


def scram(user: str = "user") -> ClientScram:
    return ClientScram(user, "pencil", lambda: NONCE)


def test_the_example_of_rfc_7677() -> None:
    exchange = scram()
    assert exchange.first() == b"n,,n=user,r=" + NONCE
    final = exchange.answer(SERVER)
    assert final.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=") and not exchange.satisfied()
    assert exchange.answer(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b"" and exchange.satisfied()


@pytest.mark.parametrize(
    "challenge",
    [
        b"", b"nonsense", SERVER.replace(NONCE, b"x"), b"r=" + NONCE + b",s=W22Z,i=4096", SERVER.replace(b"4096", b"0"),
        SERVER.replace(b"4096", b"99999999"), SERVER.replace(b"W22Z", b"!!!!"), SERVER.replace(b"i=4096", b"i=many"),
    ],
)  # fmt: skip
def test_malformed_challenges(challenge: bytes) -> None:
    exchange = scram()
    exchange.first()
    with pytest.raises(MisuseError):
        exchange.answer(challenge)


def test_a_server_that_does_not_know_the_password() -> None:
    exchange = scram()
    exchange.answer(SERVER)
    with pytest.raises(MisuseError, match="does not know"):
        exchange.answer(b"v=" + b"A" * 43 + b"=")
    assert not exchange.satisfied()


def test_names_are_escaped() -> None:
    assert scram("a=b,c").first() == b"n,,n=a=3Db=2Cc,r=" + NONCE


def test_plain_login_and_tokens() -> None:
    plain, login, token = ClientPlain("me", "pw"), ClientLogin("me", "pw"), XOAuth2("me", "T")
    assert plain.first() == b"\0me\0pw" and plain.satisfied()
    assert login.first() is None and [login.answer(b"Username:"), login.answer(b"?")] == [b"me", b"pw"]
    for exchange in (plain, login):
        with pytest.raises(MisuseError):
            exchange.answer(b"more")
    assert token.first() == b"user=me\1auth=Bearer T\1\1" and token.answer(b'{"status":"401"}') == b""


@pytest.mark.parametrize(
    ("offered", "token", "mechanism"),
    [
        (("LOGIN", "PLAIN", "SCRAM-SHA-256"), False, "SCRAM-SHA-256"), (("LOGIN", "PLAIN"), False, "PLAIN"), (("LOGIN",), False, "LOGIN"),
        (("CRAM-MD5", "GSSAPI"), False, ""), (("PLAIN", "XOAUTH2"), True, "XOAUTH2"), (("PLAIN",), True, ""),
    ],
)  # fmt: skip
def test_the_strongest_both_support(offered: tuple[str, ...], token: bool, mechanism: str) -> None:
    found = best(offered, "me", "x", token=token)
    assert (found.mechanism if found else "") == mechanism
