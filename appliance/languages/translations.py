"""Makes the catalogues of `appliance/languages`: finds the sentences in code, merges them into each .po file, compiles the files.

| `compile` | NAME.mo for the server and NAME.json for scripts, of each NAME.po; also part of building a wheel |
| `update`  | what is new in the code is added to each .po file, what is gone is taken out (`make catalogues`)  |

It runs in a checkout, as `python -m appliance.languages.translations`, with the tools of packaging; no wheel has it.

A sentence is found where it is an argument of one of KEYWORDS, or of a call in a template or script by the names in TEMPLATE_KEYWORDS; it
must stand there as a literal, since the key is all that ties code and catalogue together.
NAME.json: {"texts": {English: text or [plural forms]}, "plurals": digits}; the form for a number n is the digit at n, or at 100 + n % 100
from 200 on.
"""

import ast
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from gettext import c2py
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "appliance"
LANGUAGES = SOURCE / "languages"
KEYWORDS: dict[str, tuple[tuple[int, ...], ...]] = {
    "_": ((0,),),
    "language": ((0,),),
    "counted": ((0, 1),),
    "Sentence": ((0,),),
    "Sentences": ((0,), (1,), (2,), (3,)),
    "SetupError": ((0,), (1,)),
    "NotRunning": ((0,), (1,)),
    "InUse": ((0,), (1,)),
    "Fault": ((1,), (2,)),
    "RequestRefused": ((0,), (1,)),
    "Response": ((0,),),
    "NotRunningError": ((0,), (1,)),
    "KeyAction": ((1,),),
    "Outcome": ((3,),),
    "_outcome": ((3,),),
    "setting": ((1,),),
    "Condition": ((2,), (3,)),
    "ConditionRow": ((3,),),
    "_phase": ((1,),),
    "_damage": ((1,),),
    "ProtocolRow": ((6,), (8,)),
    "Record": ((3,),),
    "wrong": ((0,),),
    "unknown": ((0,),),
    "PortFinding": ((3,),),
}
"""Name of a function -> the arguments that are sentences; two of them together: one and many."""
CALL = re.compile(rf"\b({'|'.join(KEYWORDS)})\(")
TEMPLATE_KEYWORDS = ("_", "counted")
SCRIPT_CALL = re.compile(r"""\b(_|counted)\(\s*"((?:[^"\\\n]|\\.)*)"(?:,\s*"((?:[^"\\\n]|\\.)*)")?""")

Key = tuple[str, str]
"""A sentence and its plural; "" where it has none."""


class TranslationsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles the catalogues into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        compile_catalogues()
        build_data["artifacts"] += ["appliance/languages/*.mo", "appliance/languages/*.json"]


# --- finding -------------------------------------------------------------------------------------


@cache
def sentences(root: Path = ROOT) -> dict[Key, set[str]]:
    """Every sentence in the code, and the files it stands in."""
    found: dict[Key, set[str]] = {}
    for path in sorted((root / "appliance").rglob("*")):
        keys: Iterable[Key] = ()
        if path.suffix == ".py":
            keys = in_python(path.read_text(encoding="utf-8"))
        elif path.suffix == ".html":
            keys = in_template(path.read_text(encoding="utf-8"))
        elif path.suffix == ".js":
            keys = in_script(path.read_text(encoding="utf-8"))
        for key in keys:
            found.setdefault(key, set()).add(path.relative_to(root).as_posix())
    return found


def in_python(source: str) -> Iterator[Key]:
    for node in ast.walk(ast.parse(source)) if CALL.search(source) else ():
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        for places in KEYWORDS.get(name, ()):
            words = [node.args[place].value for place in places if place < len(node.args) and isinstance(node.args[place], ast.Constant)]  # type: ignore[attr-defined]
            if len(words) == len(places) and all(isinstance(word, str) and word for word in words):
                yield words[0], words[1] if len(words) > 1 else ""


def in_template(source: str) -> Iterator[Key]:
    from jinja2 import Environment, nodes

    for call in Environment(autoescape=True).parse(source).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in TEMPLATE_KEYWORDS:
            words = [arg.value for arg in call.args if isinstance(arg, nodes.Const) and isinstance(arg.value, str)]
            if words:
                yield words[0], words[1] if call.node.name == "counted" and len(words) > 1 else ""


def in_script(source: str) -> Iterator[Key]:
    for name, one, many in SCRIPT_CALL.findall(source):
        yield json.loads(f'"{one}"'), json.loads(f'"{many}"') if name == "counted" else ""


# --- catalogues ----------------------------------------------------------------------------------


def update(path: Path) -> tuple[int, int]:
    """Merge what the code says now into a .po file; how many sentences are new, and how many were taken out."""
    import polib  # type: ignore[import-untyped]

    catalogue, found = polib.pofile(str(path), wrapwidth=130), sentences()
    known = {(entry.msgid, entry.msgid_plural): entry for entry in catalogue}
    for key, places in found.items():
        entry = known.get(key)
        if entry is None:
            plural = dict.fromkeys(range(_forms(catalogue)), "") if key[1] else {}
            entry = polib.POEntry(msgid=key[0], msgid_plural=key[1], msgstr_plural=plural)
            known[key] = entry
        entry.occurrences = [(place, "") for place in sorted(places)]
    gone = [key for key in known if key not in found]
    new = sum(1 for key in found if not known[key].translated())
    catalogue[:] = sorted((known[key] for key in found), key=lambda entry: (entry.occurrences[0][0], entry.msgid))
    catalogue.save(str(path))
    return new, len(gone)


def compile_catalogues() -> None:
    """NAME.mo and NAME.json for each NAME.po; complete or not there."""
    import polib

    for path in sorted(LANGUAGES.glob("*.po")):
        catalogue = polib.pofile(str(path))
        _replace(path.with_suffix(".mo"), catalogue.to_binary())
        scripts = [entry for entry in catalogue.translated_entries() if any(place.endswith(".js") for place, _ in entry.occurrences)]
        texts = {entry.msgid: [*entry.msgstr_plural.values()] if entry.msgid_plural else entry.msgstr for entry in scripts}
        plural = c2py(catalogue.metadata["Plural-Forms"].partition("plural=")[2].rstrip("; "))
        document = {"texts": texts, "plurals": "".join(str(plural(number)) for number in range(200))}
        _replace(path.with_suffix(".json"), json.dumps(document, ensure_ascii=False).encode())


def compile_stale() -> None:
    """What is missing or older than its source; for tests in a fresh checkout."""
    for path in LANGUAGES.glob("*.po"):
        made = path.with_suffix(".mo")
        if not made.exists() or made.stat().st_mtime < path.stat().st_mtime:
            compile_catalogues()
            return


def _forms(catalogue: Any) -> int:
    return int(catalogue.metadata["Plural-Forms"].partition("nplurals=")[2].partition(";")[0])


def _replace(path: Path, octets: bytes) -> None:
    made = path.with_name(f"{path.name}.{os.getpid()}")
    made.write_bytes(octets)
    made.replace(path)


def main(words: list[str]) -> int:
    if words == ["compile"]:
        compile_catalogues()
        return 0
    if words == ["update"]:
        for path in sorted(LANGUAGES.glob("*.po")):
            new, gone = update(path)
            print(f"{path.name}: {new} to translate, {gone} taken out")
        return 0
    print("python -m appliance.languages.translations compile | update", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
