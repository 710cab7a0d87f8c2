"""Verifiers fit their password and nothing else, cost the same for unknown names, and show nothing."""

import math
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.accounts import passwords as module
from appliance.accounts.passwords import (
    ALPHABET,
    GROUP_CHARACTERS,
    GROUPS,
    PasswordRow,
    Passwords,
    Remembered,
    Verifiers,
    fits_slowly,
    generate,
    hash_slowly,
    make_scram,
    prepare,
    salt_for,
)
from appliance.mail.errors import AuthError, SetupError
from appliance.mail.ids import AccountId
from tests.support.accounts import Counted

SALT = b"0123456789abcdef"
ANNA = AccountId(7)


def row(number: int, verifiers: Verifiers, label: str = "") -> PasswordRow:
    return PasswordRow(number, ANNA, label, verifiers, 0, None)


def test_argon2_is_as_strong_as_documented() -> None:
    stored = hash_slowly(b"secret")
    assert stored.startswith("$argon2id$v=19$m=7168,t=5,p=1$")
    assert fits_slowly(stored, b"secret")
    assert not fits_slowly(stored, b"secret ")


def test_scrypt_where_argon2_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with_argon2 = hash_slowly(b"secret")
    monkeypatch.setitem(sys.modules, "argon2.low_level", None)
    monkeypatch.setitem(sys.modules, "argon2.exceptions", None)
    stored = hash_slowly(b"secret")
    assert stored.startswith("$scrypt$ln=13,r=8,p=10$")
    assert fits_slowly(stored, b"secret")
    assert not fits_slowly(stored, b"Secret")
    with pytest.raises(AuthError) as caught:
        fits_slowly(with_argon2, b"secret")
    assert "secret" not in str(caught.value)
    assert with_argon2 not in str(caught.value)


async def test_two_verifiers_or_one() -> None:
    made = await Passwords(Counted()).make("secret", SALT)
    assert made.slow is not None
    assert made.scram == make_scram(b"secret", SALT)
    assert made.scram.iterations >= 4096
    assert (await Passwords(Counted(), scram_for_all=False).make("secret", SALT)).scram is None
    generated = await Passwords(Counted(), scram_for_all=False).make("secret", SALT, generated=True)
    assert generated.slow is None
    assert generated.scram is not None
    assert "argon2" not in repr(made) + repr(row(1, made))


async def test_find_among_many_costs_one_hash_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(Counted())
    main = row(1, await passwords.make("main", SALT))
    apps = [row(number, await passwords.make(f"app {number}", SALT, generated=True), f"app {number}") for number in range(2, 6)]
    await passwords.find((), "warm up", SALT)
    slow: list[bytes] = []
    quick: list[bytes] = []
    real_slow, real_quick = module.fits_slowly, module.make_scram

    def counted_slow(stored: str, prepared: bytes) -> bool:
        slow.append(prepared)
        return real_slow(stored, prepared)

    def counted_quick(prepared: bytes, salt: bytes, iterations: int = 4096) -> module.ScramKeys:
        quick.append(prepared)
        return real_quick(prepared, salt, iterations)

    monkeypatch.setattr(module, "fits_slowly", counted_slow)
    monkeypatch.setattr(module, "make_scram", counted_quick)
    tries = [((main, *apps), "main", main), ((main, *apps), "app 4", apps[2]), ((main,), "wrong", None), ((), "anything", None)]
    for count, (rows, password, expected) in enumerate(tries, 1):
        assert await passwords.find(rows, password, SALT) is expected
        assert (len(slow), len(quick)) == (count, count)


def test_preparing() -> None:
    assert prepare("as typed  ") == b"as typed  "
    assert prepare("I\u00adX") == b"IX"  # RFC 4013 §3, example 1
    assert prepare("\u00aa") == b"a"  # example 4
    assert prepare("\u2168") == b"IX"  # example 5
    assert prepare("zu\u0308rich") == prepare("z\u00fcrich")
    assert prepare("a\u00a0b") == b"a b"
    emoji = "\U0001fae0\U0001f600"
    assert prepare(emoji) == emoji.encode()
    assert prepare("\u0627\u0031") == "\u0627\u0031".encode()  # example 7 is forbidden: taken as it is
    assert prepare("\u200b") == "\u200b".encode()


@given(st.text(min_size=1, max_size=20))
def test_preparing_is_stable_and_blind_to_composition(text: str) -> None:
    assert prepare(text)
    if not any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        assert prepare(unicodedata.normalize("NFD", text)) == prepare(unicodedata.normalize("NFC", text))


def test_generated_passwords() -> None:
    made = {generate() for _ in range(200)}
    assert len(made) == 200
    assert GROUPS * GROUP_CHARACTERS * math.log2(len(ALPHABET)) >= 80
    assert not set("iIlL1oO0") & set("".join(made))
    assert all([len(group) for group in one.split("-")] == [GROUP_CHARACTERS] * GROUPS for one in made)
    assert set("".join(made)) - {"-"} == set(ALPHABET.decode())


@pytest.mark.parametrize("password", ["", "a\0b", "a\r\n", "x" * 1025, "\udc80"])
async def test_what_cannot_be_a_password(password: str) -> None:
    with pytest.raises(SetupError) as caught:
        await Passwords(Counted()).make(password, SALT)
    assert password not in str(caught.value) or not password


def test_salts_reveal_nothing() -> None:
    secret = b"s" * 32
    assert salt_for(secret, "Anna@home.example") == salt_for(secret, "anna") == salt_for(secret, "anna@elsewhere.example")
    assert salt_for(secret, "anna") != salt_for(secret, "ben")
    assert salt_for(secret, "anna") != salt_for(b"t" * 32, "anna")


def test_remembered_is_bounded_and_forgets_changed_passwords() -> None:
    nothing = Verifiers(None, None)
    remembered = Remembered(most=3)
    one = row(1, nothing)
    remembered.keep(one, "secret")
    assert remembered.find((one,), "secret") is one
    assert remembered.find((one,), "Secret") is None
    assert remembered.find((), "secret") is None
    assert remembered.find((row(2, nothing),), "secret") is None
    for number in range(10):
        remembered.keep(row(number, nothing), f"{number}")
    assert len(remembered) == 3
    assert "secret" not in repr(vars(remembered))
