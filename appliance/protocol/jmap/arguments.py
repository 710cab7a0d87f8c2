"""Readers of a method's arguments: each takes one argument out and checks its type; `end` refuses what is left (RFC 8620 §3.6.2).

Every reader raises MethodError invalidArguments, with the argument's name in a sentence. `null` counts as left out.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from .errors import MethodError, invalid

T = TypeVar("T")
MOST_INT = 2**53 - 1
"""The largest number that every reader of JSON keeps exactly (RFC 8620 §1.3)."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_REFERRED = re.compile(r"#?[A-Za-z0-9_-]{1,255}")


def is_id(value: Any) -> bool:
    """An Id of RFC 8620 §1.2."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


class Arguments:
    """The arguments of one call, references resolved."""

    __slots__ = ("_left",)

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._left = dict(arguments)

    def take(self, name: str, kind: type[T] | tuple[type[T], ...], kind_name: str, default: T | None = None) -> T | None:
        """The value when it is a `kind`; `default` when it is missing or null."""
        value = self._left.pop(name, None)
        if value is None:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise invalid(f'"{name}" is no {kind_name}.')
        return value

    def id(self, name: str) -> str:
        value = self.optional_id(name)
        if value is None:
            raise invalid(f'"{name}" is missing.')
        return value

    def optional_id(self, name: str) -> str | None:
        value = self.take(name, str, "id")
        if value is not None and not _REFERRED.fullmatch(value):
            raise invalid(f'"{name}" is no id.')
        return value

    def ids(self, name: str, *, most: int, limit: str = "maxObjectsInGet", referred: bool = True) -> list[str] | None:
        """A list of ids, each once, None when it is left out. More than `most` is the error requestTooLarge, which names the limit."""
        values = self.take(name, list, "list of ids")
        if values is None:
            return None
        shape = _REFERRED if referred else _ID
        if not all(isinstance(value, str) and shape.fullmatch(value) for value in values):
            raise invalid(f'"{name}" is no list of ids.')
        if len(values) > most:
            raise MethodError("requestTooLarge", f'"{name}" has more than {most} ids ({limit}).')
        return list(dict.fromkeys(values))

    def strings(self, name: str) -> list[str] | None:
        values = self.take(name, list, "list of strings")
        if values is not None and not all(isinstance(value, str) for value in values):
            raise invalid(f'"{name}" is no list of strings.')
        return values

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self.take(name, bool, "Boolean", default))

    def text(self, name: str, default: str = "") -> str:
        return self.take(name, str, "string", default) or default

    def number(self, name: str, default: int | None = None, *, least: int = 0) -> int | None:
        """An integer from `least` to MOST_INT; a number such as 3.0 is one too (RFC 8620 §1.3)."""
        value = self.take(name, (int, float), "number")
        if value is None:
            return default
        if value != int(value) or not least <= value <= MOST_INT:
            raise invalid(f'"{name}" is no whole number from {least}.')
        return int(value)

    def object(self, name: str) -> dict[str, Any] | None:
        return self.take(name, dict, "object")

    def objects(self, name: str) -> dict[str, dict[str, Any]]:
        """An object of objects, such as `create` and `update`."""
        found = self.take(name, dict, "object") or {}
        if not all(isinstance(value, dict) for value in found.values()):
            raise invalid(f'"{name}" has a value that is no object.')
        return found

    def list_of_objects(self, name: str) -> list[dict[str, Any]] | None:
        found = self.take(name, list, "list")
        if found is not None and not all(isinstance(value, dict) for value in found):
            raise invalid(f'"{name}" is no list of objects.')
        return found

    def rest(self) -> dict[str, Any]:
        """All that has not been taken."""
        left, self._left = self._left, {}
        return left

    def end(self) -> None:
        """Whatever has not been taken is unknown."""
        if self._left:
            raise invalid(f'There is no argument "{next(iter(self._left))[:100]}" here.')
