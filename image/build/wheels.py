"""The server and its libraries: wheels of requirements.lock for aarch64 and CPython 3.13, and lgpio, cross-compiled.

lgpio has no wheel for CPython 3.13; its source is pinned in image/lgpio.lock. pip checks every file against its hash.
"""

import os
import re
import sys
import zipfile
from pathlib import Path

from .host import BuildError, run
from .tools import Tools

PYTHON = "3.13"
LEFT_OUT = ("pip", "setuptools")
"""Named by sqlite-utils for its plugins and by colorzero for its build; the server imports neither."""

PLATFORMS = ("linux_aarch64", "manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in (17, 24, 26, 28, 34)))
PREFIX = "usr/lib/pillarbox"
LEAN = f"{PREFIX}/lean-code"
"""Where the server looks for its code without docstrings (appliance/app/process.py)."""
SITE = f"{PREFIX}/lib/python3.13/site-packages"
TARGET_TAG = "cpython-313-aarch64-linux-gnu"


def runtime_requirements(lock: str) -> list[str]:
    """The entries of requirements.lock (each with its hashes) that the server itself depends on, by the lock's own "via" comments."""
    entries = re.findall(r"(?m)^[a-z0-9][^\n]*\n(?:[ ]+[^\n]*\n)*", lock)
    depends: dict[str, set[str]] = {}
    text: dict[str, str] = {}
    for entry in entries:
        name = re.split(r"[=\s]", entry)[0]
        via = re.findall(r"(?m)^    # via (\S.*)$|^    #   (\S.*)$", entry)
        depends[name] = {one or other for one, other in via}
        text[name] = "".join(line + "\n" for line in entry.splitlines() if not line.lstrip().startswith("#"))
    found: set[str] = set()
    while True:
        more = {name for name, by in depends.items() if name not in found | set(LEFT_OUT) and by & (found | {"pillarbox (pyproject.toml)"})}
        if not more:
            return [text[name] for name in sorted(found)]
        found |= more


def fetch_wheels(tools: Tools, source: Path, cache: Path) -> None:
    """Download what the lock names into the cache; pip verifies the hashes."""
    place = cache / "wheels"
    place.mkdir(exist_ok=True)
    (cache / "runtime.lock").write_text("".join(runtime_requirements((source / "requirements.lock").read_text())))
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    common = (
        "python3.13",
        "-m",
        "pip",
        "-q",
        "--disable-pip-version-check",
        "--no-cache-dir",
        "download",
        "--no-deps",
        "--require-hashes",
        "-d",
        "/cache/wheels",
    )
    tools.run(*common, "--only-binary=:all:", *platforms, "--python-version", PYTHON, "--implementation", "cp", "-r", "/cache/runtime.lock")
    tools.run(*common, "--no-binary=:all:", "--no-build-isolation", "-r", "/source/image/lgpio.lock")


def check_fetched(source: Path, cache: Path) -> None:
    """BuildError where the lock names other wheels than those that were fetched."""
    fetched = cache / "runtime.lock"
    if not fetched.exists() or fetched.read_text() != "".join(runtime_requirements((source / "requirements.lock").read_text())):
        raise BuildError("requirements.lock has changed since the last build: build once without --offline.")


def install_wheels(tools: Tools) -> None:
    """Unpack the wheels and the checkout's own into /build/root, without bytecode."""
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    tools.run(
        "python3.13",
        "-m",
        "pip",
        "-q",
        "--disable-pip-version-check",
        "install",
        "--root-user-action=ignore",
        "--no-deps",
        "--no-compile",
        "--no-index",
        "--require-hashes",
        "--find-links",
        "/cache/wheels",
        "--only-binary=:all:",
        *platforms,
        "--python-version",
        PYTHON,
        "--implementation",
        "cp",
        "--target",
        f"/build/root/{SITE}",
        "-r",
        "/cache/runtime.lock",
    )


def install_server(source: Path, work: Path, epoch: int) -> None:
    """The checkout's own wheel into /build/root, its command as /usr/bin/pillarbox, and its private prefix as a venv has it."""
    place = work / "server"
    run(
        [
            sys.executable,
            "-P",
            "-m",
            "pip",
            "-q",
            "--disable-pip-version-check",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            place,
            source,
        ],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
    )
    site = work / "root" / SITE
    with zipfile.ZipFile(next(place.glob("pillarbox-*.whl"))) as wheel:
        wheel.extractall(site)
    prefix = work / "root" / PREFIX
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/python3").symlink_to(f"/usr/bin/python{PYTHON}")
    (prefix / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n")
    command = work / "root/usr/bin/pillarbox"
    command.write_text(COMMAND)
    command.chmod(0o755)


COMMAND = f"""#!/{PREFIX}/bin/python3 -P
import sys

from appliance.__main__ import main

sys.exit(main())
"""


def compile_lgpio(tools: Tools, work: Path, headers: str) -> None:
    """Build lgpio for the target from its source and the arm64 Python headers of the package file `headers`, into /build/root."""
    tools.run("sh", "-ec", COMPILE_LGPIO, "sh", headers, f"/build/root/{SITE}")
    assert list((work / "root" / SITE).glob(f"_lgpio.{TARGET_TAG}.so"))  # noqa: S101 - the script ended well


COMPILE_LGPIO = f"""
rm -rf /build/lgpio; mkdir -p /build/lgpio; cd /build/lgpio
tar --strip-components=1 -xzf /cache/wheels/lgpio-*.tar.gz
dpkg-deb -x "/cache/apt/archives/$1" headers
swig -python lgpio.i
include=headers/usr/include
aarch64-linux-gnu-gcc -shared -fPIC -O2 -pthread -Isrc -I$include/python{PYTHON} -I$include/aarch64-linux-gnu -I$include \\
    -Wl,--build-id=none -o _lgpio.{TARGET_TAG}.so lgpio_wrap.c src/lg*.c src/rgpiod.c
aarch64-linux-gnu-strip _lgpio.{TARGET_TAG}.so
install -m 644 _lgpio.{TARGET_TAG}.so lgpio.py "$2"
info=$2/$(basename /cache/wheels/lgpio-*.tar.gz .tar.gz).dist-info
install -d "$info/licenses" && install -m 644 LICENSE "$info/licenses" && install -m 644 PKG-INFO "$info/METADATA"
"""
