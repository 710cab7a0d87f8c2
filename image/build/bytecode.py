"""Compiles every Python file below a directory; run by the target's Python version, on any machine.

    python3.13 bytecode.py ROOT LEAN

Bytecode is never checked against its source (PEP 552, unchecked hash): the root is read-only, and a card without a clock has no
sensible times. For the server, which runs with -OO and PYTHONPYCACHEPREFIX, code without docstrings goes below LEAN, and that of the
templates of its pages.
"""

import os
import py_compile
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

PLACES = ("usr/lib/python3.13", "usr/lib/python3/dist-packages", "usr/lib/pillarbox/lib/python3.13/site-packages")


def compile_one(source: str, root: str, lean: str) -> None:
    """Both forms of one file; a file that is no Python of this version (a template) is left alone."""
    inside = "/" + os.path.relpath(source, root)
    tag = sys.implementation.cache_tag
    folder, name = os.path.split(inside)
    stem = name.removesuffix(".py")
    plain = f"{root}{folder}/__pycache__/{stem}.{tag}.pyc"
    small = f"{root}{lean}{folder}/{stem}.{tag}.opt-2.pyc"
    for target, level in ((plain, 0), (small, 2)):
        try:
            py_compile.compile(
                source, target, inside, doraise=True, optimize=level, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
        except py_compile.PyCompileError:
            return


def main(root: str, lean: str) -> None:
    found = sorted(str(path) for place in PLACES for path in Path(root, place).rglob("*.py"))
    with ProcessPoolExecutor() as pool:
        list(pool.map(compile_one, found, repeat(root), repeat(lean), chunksize=40))
    sys.path.insert(0, f"{root}/{PLACES[-1]}")
    from appliance.web.template_environment import compile_templates

    compile_templates(Path(root + lean))


if __name__ == "__main__":
    main(*sys.argv[1:])
