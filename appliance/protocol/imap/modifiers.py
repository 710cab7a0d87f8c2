"""Modifiers of FETCH, STORE and SELECT, and RETURN options of SEARCH: names, some with a value (RFC 4466 §2).

The grammar is open: each name brings the parser of its value. Raises MisuseError; linear in the command's octets.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from appliance.mail.errors import MisuseError

from .tokens import Tokens

MODIFIERS = 10
"""Of one command."""


class NamedGrammar(Protocol):
    """`parse` reads what follows the name, its space included; None for a name without a value."""

    @property
    def name(self) -> bytes: ...
    @property
    def parse(self) -> Callable[[Tokens], Any]: ...


G = TypeVar("G", bound=NamedGrammar)


def parse_modifiers(tokens: Tokens, known: Mapping[bytes, G]) -> tuple[tuple[G, Any], ...]:
    """`SP "(" name [SP value] *(SP name [SP value]) ")"` or nothing (RFC 4466 §2.1, §2.4, §2.5); each name at most once."""
    if not tokens.accept(b" ("):
        return ()
    found: dict[bytes, tuple[G, Any]] = {}
    while True:
        modifier, value = _one(tokens, known)
        if modifier.name in found:
            raise tokens.misuse(f"{modifier.name.decode()} comes twice")
        found[modifier.name] = modifier, value
        if tokens.accept(b")"):
            return tuple(found.values())
        tokens.space()


def parse_return_options(tokens: Tokens, known: Mapping[bytes, G]) -> tuple[tuple[G, Any], ...] | None:
    """`SP "RETURN" SP "(" options ")"` or None; `()` is ALL (RFC 4731 §3.1). A repeated option counts once."""
    if not tokens.accept(b" RETURN ("):
        return None
    found: dict[bytes, tuple[G, Any]] = {}
    count = 0
    while not tokens.accept(b")"):
        if count:
            tokens.space()
        count += 1
        if count > MODIFIERS:
            raise tokens.misuse("too many RETURN options")
        option, value = _one(tokens, known)
        if found.setdefault(option.name, (option, value))[1] != value:
            raise tokens.misuse(f"{option.name.decode()} comes twice")
    return tuple(found.values()) or ((known[b"ALL"], None),)


def _one(tokens: Tokens, known: Mapping[bytes, G]) -> tuple[G, Any]:
    name = tokens.keyword()
    modifier = known.get(name)
    if modifier is None:
        raise MisuseError(f"There is no modifier {name.decode()}, only: {' '.join(sorted(map(bytes.decode, known)))}.")
    return modifier, modifier.parse(tokens)
