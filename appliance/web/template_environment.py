"""The jinja2 environment of pages, and templates compiled beforehand: the server then leaves jinja2's compiler unloaded (3 MB).

`compile_templates` stores the code of all templates beside that of the program (`app/process`). The name of the file is the digest of
all that makes the code: the templates, jinja2's compiler, this file with the options and filters, Python's version of bytecode. So code
of other templates is never found, and without the file templates are compiled as pages are asked for.

The file: {name of a template: its code, marshalled, compressed}. It is read at once, so a server that runs never mixes two versions.
"""

import hashlib
import marshal
import os
import sys
import zlib
from importlib.util import MAGIC_NUMBER, find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from appliance.mail.sentence import with_parts

if TYPE_CHECKING:
    from jinja2 import Environment, Template

    from appliance.mail.clock import Clock

DIRECTORY = Path(__file__).parent / "templates"
CACHES = ("jinja2.bccache", ("BytecodeCache", "FileSystemBytecodeCache", "MemcachedBytecodeCache"))
"""jinja2's own caches of code, which nobody asks for, load pickle: 0.3 MB."""
COMPILER = (
    ("jinja2.compiler", ("CodeGenerator", "generate")),
    ("jinja2.lexer", ("Lexer", "TokenStream", "get_lexer")),
    ("jinja2.parser", ("Parser",)),
)
"""Modules that `jinja2.environment` imports though compiled templates need none of them, and the names it takes from them."""


def template_environment(clock: "Clock", directory: Path = DIRECTORY) -> "Environment":
    """The environment in which pages are rendered, from compiled code where there is any for these templates."""
    compiled = _stored(directory)
    if compiled is None or not _left_out(CACHES, *COMPILER):
        _left_out(CACHES)
        return _environment(clock, directory)
    environment = _environment(clock, directory)
    loader: Any = CompiledTemplates(compiled)
    environment.loader = loader
    return environment


def compile_templates(place: Path, directory: Path = DIRECTORY) -> None:
    """Store the code of all templates in `place`, and remove what is stored there of others."""
    environment = _environment(None, directory)
    code = {
        path.name: zlib.compress(marshal.dumps(environment.compile(path.read_text(encoding="utf-8"), path.name, path.name)), 9)
        for path in _sources(directory)
    }
    target = _file(place, directory)
    made = target.with_name(f"{target.name}.{os.getpid()}")
    made.write_bytes(marshal.dumps(code))
    made.replace(target)
    for other in place.glob("templates-*"):
        if other != target:
            other.unlink(missing_ok=True)


class CompiledTemplates:
    """A loader as jinja2 wants them, of code."""

    def __init__(self, compiled: dict[str, bytes]) -> None:
        self._compiled = compiled

    def load(self, environment: "Environment", name: str, values: Any = None) -> "Template":
        code = marshal.loads(zlib.decompress(self._compiled[name]))  # noqa: S302 - our own code, stored as Python's own is
        return environment.template_class.from_code(environment, code, environment.make_globals(values))


def _environment(clock: "Clock | None", directory: Path) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(directory),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=100,
    )
    environment.filters.update(_filters(clock))
    return environment


def _filters(clock: Any) -> dict[str, Any]:
    """Filters of templates: sizes, instants, spans of time, as the language of the page writes them; the sentence that facts have."""
    from jinja2 import pass_context

    from .formats import browser, date, size, span, when

    return {
        "size": pass_context(lambda values, octets: size(octets, values["_"])),
        "when": pass_context(lambda values, at: when(at, clock, values["_"])),
        "date": pass_context(lambda values, at: date(at, clock, values["_"])),
        "span": span,
        "sentence": lambda facts: with_parts(facts["text"], facts.get("text_parts")),
        "browser": browser,
    }


def _stored(directory: Path) -> dict[str, bytes] | None:
    """The compiled templates, where the program itself runs from code compiled beforehand."""
    if not sys.pycache_prefix or "jinja2" in sys.modules:
        return None
    try:
        return marshal.loads(_file(Path(sys.pycache_prefix), directory).read_bytes())  # type: ignore[no-any-return]  # noqa: S302
    except OSError:
        return None


def _file(place: Path, directory: Path) -> Path:
    """Where in `place` the code of these templates is. Raises FileNotFoundError where jinja2 is not there as source."""
    digest = hashlib.sha256(MAGIC_NUMBER)
    spec = find_spec("jinja2")
    compiler = Path(spec.origin if spec and spec.origin else "").with_name("compiler.py")
    for path in (compiler, Path(__file__), *_sources(directory)):
        octets = path.read_bytes()
        digest.update(f"{path.name} {len(octets)}\n".encode() + octets)
    return place / f"templates-{digest.hexdigest()[:16]}"


def _sources(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix in (".html", ".svg"))


def _left_out(*modules: tuple[str, tuple[str, ...]]) -> bool:
    """Import jinja2 with nothing in the place of these modules; False where this jinja2 wants more of them."""
    absent: dict[str, Any] = {}
    for name, wanted in modules:
        absent[name] = ModuleType(name)
        absent[name].__dict__.update(dict.fromkeys(wanted, object))
    known = set(sys.modules)
    for name in absent:
        sys.modules.setdefault(name, absent[name])
    try:
        import jinja2  # noqa: F401
    except ImportError:
        for name in set(sys.modules) - known:
            if name.startswith("jinja2"):
                del sys.modules[name]
        return False
    return True
