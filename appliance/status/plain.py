"""Frozen dataclasses to what JSON can say, and back with every type checked.

`parse_plain(type(x), encode_plain(x)) == x` for dataclasses of str, int, float, bool, tuples of one kind, other
such dataclasses and `X | None`. How it fails: MisuseError names the field.
"""

from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar

from appliance.mail.errors import MisuseError

T = TypeVar("T")


def encode_plain(value: Any) -> Any:
    """Dataclasses become dicts, tuples lists; the rest stays."""
    if is_dataclass(value):
        return {field.name: encode_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [encode_plain(item) for item in value]
    return value


def parse_plain(kind: "type[T]", plain: Any) -> T:
    """A `kind` from what `encode_plain` made of it; missing fields take their defaults. Raises MisuseError."""
    if not isinstance(plain, dict):
        raise MisuseError(f"{kind.__name__}: not an object")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if strange := sorted(set(plain) - set(known)):
        raise MisuseError(f"{kind.__name__}: unknown field {strange[0]}")
    values = {name: _value(known[name].type, plain[name], f"{kind.__name__}.{name}") for name in plain}
    try:
        return kind(**values)
    except TypeError:
        raise MisuseError(f"{kind.__name__}: a field is missing") from None


def _value(kind: Any, plain: Any, where: str) -> Any:
    if isinstance(kind, UnionType):
        inner = next(arg for arg in kind.__args__ if arg is not type(None))
        return None if plain is None else _value(inner, plain, where)
    if getattr(kind, "__origin__", None) is tuple:
        if not isinstance(plain, list):
            raise MisuseError(f"{where}: not a list")
        return tuple(_value(kind.__args__[0], item, where) for item in plain)
    if is_dataclass(kind):
        return parse_plain(kind, plain)  # type: ignore[arg-type]
    if kind is float and type(plain) is int:
        return float(plain)
    if type(plain) is not kind:
        raise MisuseError(f"{where}: not {kind.__name__}")
    return plain
