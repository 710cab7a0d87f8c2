"""Debian packages of the image: chosen and fetched by apt into the cache, verified against the signed Release files.

No maintainer script is run (they are programs of another architecture); `root.finish` does what they would have done.
What was chosen stands in the cache, `CHOSEN`; `offline` uses exactly that again, so the same cache gives the same image.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from email.parser import HeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path

from .host import BuildError
from .tools import SUITE, Tools

ARCHITECTURE = "arm64"
CHOSEN = "chosen.json"
BUILD_ONLY = ("libpython3.13-dev",)
"""Fetched for its headers, no part of the image."""
KERNEL_HEADERS = "linux-headers-"
"""How the names of the packages begin that `own_modules` compiles with."""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
EXACTLY = re.compile(r"(linux-[a-z0-9.+~-]+) \(= ([^)]+)\)")
OPTIONS = (
    ("APT::Architecture", ARCHITECTURE),
    ("APT::Architectures", ARCHITECTURE),
    ("APT::Sandbox::User", "root"),
    ("APT::Install-Recommends", "false"),
    ("Acquire::Languages", "none"),
    ("Acquire::Retries", "3"),
    ("Dir::Etc::sourcelist", "/cache/apt/sources.list"),
    ("Dir::Etc::sourceparts", "/dev/null"),
    ("Dir::State::lists", "/cache/apt/lists"),
    ("Dir::State::status", "/cache/apt/status"),
    ("Dir::Cache", "/cache/apt"),
    ("Dir::Cache::pkgcache", ""),
    ("Dir::Cache::srcpkgcache", ""),
    ("pkgCacheGen::ForceEssential", "none"),
)
"""apt of the tools root, with state and cache of its own, for another architecture and an empty system."""
NOTHING_HERE = ("-o", "Dir::Cache::archives=/tmp/")
"""With this apt lists every package, not only those that are missing in the cache."""
URI_LINE = re.compile(r"^'[^']+' (?P<file>\S+_\S+\.deb) (?P<size>\d+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line of packages.txt."""

    name: str
    suite: str = ""
    alone: bool = False
    """Without what it depends on."""
    unwanted: bool = False
    """Left out although others depend on it."""

    @property
    def selector(self) -> str:
        return f"{self.name}/{self.suite}" if self.suite else self.name


@dataclass(frozen=True, slots=True)
class Package:
    """A fetched package: fields of its control file, and the file's name in the cache."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    homepage: str
    file: str


def parse_wanted(text: str) -> list[Wanted]:
    """Lines of packages.txt: "#" begins a comment; BuildError names a line that is none."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.split("#")[0].strip()
        if not word:
            continue
        match = re.fullmatch(r"([-!]?)([a-z0-9][a-z0-9+.-]+)(?:/([a-z-]+))?", word)
        if match is None:
            raise BuildError(f"packages.txt, line {number}: {word!r} is no name of a package.")
        found.append(Wanted(match[2], match[3] or "", match[1] == "-", match[1] == "!"))
    return found


def only_for_build(name: str) -> bool:
    """Whether the package is fetched for its headers, and no part of the image."""
    return name in BUILD_ONLY or name.startswith(KERNEL_HEADERS)


class Archive:
    """apt with a state of its own in the cache, for arm64 and an empty system."""

    def __init__(self, tools: Tools, cache: Path, mirror: str) -> None:
        self._tools, self._cache = tools, cache
        place = cache / "apt"
        for name in ("lists/partial", "archives/partial"):
            (place / name).mkdir(parents=True, exist_ok=True)
        (place / "status").touch()
        suites = ((mirror, ""), (mirror, "-updates"), (mirror, "-backports"), (f"{mirror}-security", "-security"))
        lines = [f"deb [signed-by={KEYRING} arch={ARCHITECTURE}] {uri} {SUITE}{part} main non-free-firmware\n" for uri, part in suites]
        (place / "sources.list").write_text("".join(lines))

    def fetch(self, wanted: Iterable[Wanted], record: str = CHOSEN, *, update: bool = True) -> list[Package]:
        """Choose the newest versions, fetch them, and record the choice in the file `record`; `update`: ask the archive which there are.
        Raises BuildError with apt's words."""
        wanted = [*wanted, *(Wanted(name, alone=True) for name in BUILD_ONLY)]
        unwanted = {one.name for one in wanted if one.unwanted}
        if update:
            self._apt("update", "-q")
        whole = [one.selector for one in wanted if not one.alone and not one.unwanted]
        alone = [selector for one in wanted if one.alone for selector in self._with_parts(one)]
        listed = self._apt("install", *NOTHING_HERE, "-y", "--print-uris", *whole) + self._apt("download", "--print-uris", *alone)
        names = sorted({match["file"] for match in URI_LINE.finditer(listed)})
        self._apt("install", "-y", "-q", "--download-only", *whole)
        self._tools.run("sh", "-ec", 'cd /cache/apt/archives; exec apt-get "$@"', "sh", *_options(), "-q", "download", *alone)
        chosen = [one for one in map(self._describe, names) if one.name not in unwanted]
        (self._cache / record).write_text(json.dumps([asdict(one) for one in chosen], indent=1))
        return chosen

    def recorded(self) -> list[Package]:
        """What the last `fetch` chose; BuildError where the cache has none of it or lacks a file."""
        record = self._cache / CHOSEN
        if not record.is_file():
            raise BuildError(f"Nothing was fetched into {self._cache} yet: build once without --offline.")
        chosen = [Package(**fields) for fields in json.loads(record.read_text())]
        for one in chosen:
            if not (self._cache / "apt/archives" / one.file).is_file():
                raise BuildError(f"{one.file} is missing in {self._cache}: build once without --offline.")
        return chosen

    def release_date(self) -> int:
        """Seconds since 1970 of the newest Release file: the time of every file in the image, and the least time of its clock."""
        dates = [
            line.split(":", 1)[1].strip()
            for path in sorted((self._cache / "apt/lists").glob("*Release"))
            for line in path.read_text(errors="replace").splitlines()
            if line.startswith("Date:")
        ]
        if not dates:
            raise BuildError(f"Nothing was fetched into {self._cache} yet: build once without --offline.")
        return max(int(parsedate_to_datetime(date.replace("UTC", "+0000")).timestamp()) for date in dates)

    def _with_parts(self, one: Wanted) -> list[str]:
        """A package alone, and of the kernel's meta package the parts it depends on in exactly its own version."""
        found, waiting = [], [one.selector]
        while waiting:
            selector = waiting.pop()
            found.append(selector)
            if one.name.startswith("linux-"):
                control = HeaderParser().parsestr(self._tools.run("apt-cache", *_options(), "show", selector).strip())
                parts = [f"{name}={version}" for name, version in EXACTLY.findall(control.get("Depends", ""))]
                waiting += [part for part in parts if part not in found and part not in waiting]
        return found

    def _apt(self, command: str, *words: str) -> str:
        return self._tools.run("apt-get", *_options(), command, *words)

    def _describe(self, file: str) -> Package:
        control = HeaderParser().parsestr(self._tools.run("dpkg-deb", "-f", f"/cache/apt/archives/{file}"))
        source = re.fullmatch(r"(\S+)(?: \((\S+)\))?", control.get("Source", control["Package"]))
        assert source is not None  # noqa: S101 - dpkg writes nothing else
        return Package(
            control["Package"],
            control["Version"],
            control["Architecture"],
            source[1],
            source[2] or control["Version"],
            control.get("Homepage", ""),
            file,
        )


def _options() -> list[str]:
    return [word for name, value in OPTIONS for word in ("-o", f"{name}={value}")]
