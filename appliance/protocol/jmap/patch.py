"""Updates of one object: a PatchObject made of JSON pointers, without the leading slash, and their new values (RFC 8620 §5.3)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from .errors import SetError

_DEPTH = 16


def patched(value: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the object with the patch applied; None removes a member (its default value).

    Raises SetError invalidPatch: a pointer goes into an array, through something that is no object, or is a prefix of another.
    """
    paths = {pointer: _steps(pointer) for pointer in patch}
    ordered = sorted(paths.values())
    for shorter, longer in pairwise(ordered):
        if longer[: len(shorter)] == shorter:
            raise SetError("invalidPatch", f'"{"/".join(shorter)}" is patched twice.')
    result = dict(value)
    for pointer, new in patch.items():
        *parents, last = paths[pointer]
        place = result
        for step in parents:
            inner = place.get(step)
            if not isinstance(inner, Mapping):
                raise SetError("invalidPatch", f'"{pointer[:100]}" leads through something that is no object.')
            place[step] = place = dict(inner)
        if new is None:
            place.pop(last, None)
        else:
            place[last] = new
    return result


def _steps(pointer: str) -> list[str]:
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")]
    if len(steps) > _DEPTH:
        raise SetError("invalidPatch", "A pointer is too deep.")
    return steps
