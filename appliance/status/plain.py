"""Frozen dataclasses to and from what JSON can say: dicts, lists, strings, numbers, true, false, null.

Both directions read the fields and their types: a new field needs no code here. A field with a Sentence, or a tuple of them, is its English
text as ever, and has beside it NAME_parts: what it was made of (`mail/sentence`), so that the other side can say it in another language.
"""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from appliance.mail.sentence import from_parts, parts_of

PARTS = "_parts"


def encode_plain(value: Any) -> Any:
    """Dataclasses become dicts by field name, tuples lists; the rest stays. Unlike `asdict` it copies nothing deeply."""
    if is_dataclass(value):
        found = {field.name: getattr(value, field.name) for field in fields(value)}
        parts = {name + PARTS: made for name, one in found.items() if (made := _parts(one)) is not None}
        return {name: encode_plain(one) for name, one in found.items()} | parts
    if isinstance(value, tuple | list):
        return [encode_plain(item) for item in value]
    return value


def _parts(value: Any) -> Any:
    """Those of a Sentence; a list with those of a tuple's members; None where there are none."""
    if isinstance(value, tuple) and any(isinstance(one, str) for one in value):
        found = [parts_of(one) if isinstance(one, str) else None for one in value]
        return found if any(one is not None for one in found) else None
    return parts_of(value) if isinstance(value, str) else None


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
    value = _with_sentences(value, names.keys())
    if strict and not value.keys() <= names.keys():
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(value.keys() - names.keys()))}")
    for name, field in names.items():
        if name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise TypeError(f"{kind.__name__} needs {name}")
    return kind(**{name: decode_plain(hints[name], value[name], strict=strict) for name in names if name in value})


def _with_sentences(value: dict[str, Any], names: Any) -> dict[str, Any]:
    """The fields, those with parts as Sentences again. Raises TypeError."""
    made = dict(value)
    for key in [key for key in value if key.endswith(PARTS) and key not in names and key.removesuffix(PARTS) in value]:
        parts, name = made.pop(key), key.removesuffix(PARTS)
        try:
            if isinstance(made[name], list):
                pairs = zip(made[name], parts, strict=True)
                made[name] = [text if one is None else from_parts(one) for text, one in pairs]
            else:
                made[name] = from_parts(parts)
        except (ValueError, KeyError) as error:
            raise TypeError(f"{key}: {error}") from None
    return made


def _check(kind: type, value: Any) -> None:
    if type(value) is not kind and not (kind is str and isinstance(value, str)):
        raise TypeError(f"{kind.__name__} expected, {type(value).__name__} found")
