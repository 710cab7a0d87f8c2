"""Frozen dataclasses to and from what JSON can say: dicts, lists, strings, numbers, true, false, null.

Both directions read the fields and their types: a new field needs no code here.
"""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


def encode_plain(value: Any) -> Any:
    """Dataclasses become dicts by field name, tuples lists; the rest stays. Unlike `asdict` it copies nothing deeply."""
    if is_dataclass(value):
        return {field.name: encode_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [encode_plain(item) for item in value]
    return value


def decode_plain(kind: Any, value: Any, *, strict: bool = False) -> Any:
    """The inverse of `encode_plain` for a value of the type `kind`.

    A field that is missing has its default. Raises TypeError when it has none, when a value has another type, and, with `strict`,
    for a key that is no field; else such a key is left out (it comes from a newer version).
    """
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _decode_fields(kind, value, strict)
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType:
        if value is None and NoneType in args:
            return None
        return decode_plain(next(one for one in args if one is not NoneType), value, strict=strict)
    if origin is tuple:
        _check(list, value)
        kinds = args[:1] * len(value) if args[1:] == (...,) else args
        if len(kinds) != len(value):
            raise TypeError(f"{len(kinds)} values expected, {len(value)} found")
        return tuple(decode_plain(one, item, strict=strict) for one, item in zip(kinds, value, strict=True))
    if kind is float and type(value) is int:
        return float(value)
    _check(origin or kind, value)
    return value


def _decode_fields(kind: Any, value: Any, strict: bool) -> Any:
    _check(dict, value)
    hints, names = get_type_hints(kind), {field.name: field for field in fields(kind)}
    if strict and not value.keys() <= names.keys():
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(value.keys() - names.keys()))}")
    for name, field in names.items():
        if name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise TypeError(f"{kind.__name__} needs {name}")
    return kind(**{name: decode_plain(hints[name], value[name], strict=strict) for name in names if name in value})


def _check(kind: type, value: Any) -> None:
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected, {type(value).__name__} found")
