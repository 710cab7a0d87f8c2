"""Frozen dataclasses to what JSON can say: dicts, lists, strings, numbers, true, false, null."""

from dataclasses import fields, is_dataclass
from typing import Any


def encode_plain(value: Any) -> Any:
    """Dataclasses become dicts by field name, tuples lists; the rest stays. Unlike `asdict` it copies nothing deeply."""
    if is_dataclass(value):
        return {field.name: encode_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [encode_plain(item) for item in value]
    return value
