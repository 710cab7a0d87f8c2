"""Arguments taken from earlier responses of the same request, and ids of objects made earlier (RFC 8620 §3.7, §5.3).

`"#ids": {"resultOf": "c0", "name": "Email/query", "path": "/ids"}` becomes `"ids": [...]`: the path is a JSON pointer (RFC 6901), in
which `*` stands for every element of an array, with arrays flattened by one level. An id that begins with `#` names an object by
its creation id.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import MethodError, invalid

Response = tuple[str, dict[str, Any], str]
"""Name of the response, its arguments, the id of the call."""
_MOST_VALUES = 100_000
"""Elements a reference may gather; more than any argument may have."""


def resolve(arguments: Mapping[str, Any], responses: Sequence[Response]) -> dict[str, Any]:
    """The arguments with every reference replaced. Raises MethodError invalidResultReference, invalidArguments."""
    resolved: dict[str, Any] = {}
    for name, value in arguments.items():
        if not name.startswith("#"):
            resolved[name] = value
        elif name[1:] in arguments:
            raise invalid(f'"{name[1:]}" is given as a value and as a reference.')
        else:
            resolved[name[1:]] = _value_of(value, responses)
    return resolved


def created_id(word: str, created: Mapping[str, str]) -> str | None:
    """The id that `word` stands for: itself, or for "#name" the id of the object created as `name`; None for an unknown one."""
    return created.get(word[1:]) if word.startswith("#") else word


def _value_of(reference: Any, responses: Sequence[Response]) -> Any:
    members = ("resultOf", "name", "path")
    if not isinstance(reference, dict) or not all(isinstance(reference.get(member), str) for member in members):
        raise _unresolved("a reference has resultOf, name and path")
    for name, arguments, call in responses:
        if call == reference["resultOf"]:
            if name != reference["name"]:
                raise _unresolved(f"the response to {call} is {name}")
            return _at(arguments, _steps(reference["path"]))
    raise _unresolved(f"no earlier call has the id {reference['resultOf'][:100]}")


def _steps(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise _unresolved("a path begins with /")
    return [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]


def _at(value: Any, steps: Sequence[str]) -> Any:
    for place, step in enumerate(steps):
        if isinstance(value, list) and step == "*":
            return _flattened(_at(one, steps[place + 1 :]) for one in value)
        if isinstance(value, list) and step.isascii() and step.isdigit() and (step == "0" or step[0] != "0") and int(step) < len(value):
            value = value[int(step)]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            raise _unresolved(f"there is nothing at {step[:100]}")
    return value


def _flattened(values: Iterable[Any]) -> list[Any]:
    gathered: list[Any] = []
    for value in values:
        gathered += value if isinstance(value, list) else [value]
        if len(gathered) > _MOST_VALUES:
            raise _unresolved("the path matches too many values")
    return gathered


def _unresolved(reason: str) -> MethodError:
    return MethodError("invalidResultReference", f"{reason[:1].upper()}{reason[1:]}.")
