"""What the image is made of: manifest, SBOM (CycloneDX 1.6 JSON) and licence list, from the packages themselves."""

import json
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import quote

from .packages import Package, only_for_build
from .tools import SUITE
from .wheels import SITE

CYCLONEDX = "1.6"
LICENCE_LINE = re.compile(r"(?m)^License:[ \t]*(\S.*)$")
NAMESPACE = uuid.UUID("6a1c3f0e-5f3e-5d0c-9a52-0d6c1c4f7b11")


@dataclass(frozen=True, slots=True)
class Component:
    """One package of the image, whoever made it."""

    kind: str
    """deb or pypi."""
    name: str
    version: str
    architecture: str
    licences: tuple[str, ...]
    source: str
    homepage: str

    @property
    def purl(self) -> str:
        """Package URL (the purl specification): the key vulnerability databases use."""
        version = quote(self.version, safe=".~+-:").replace("+", "%2B").replace(":", "%3A")
        if self.kind == "deb":
            return f"pkg:deb/debian/{quote(self.name, safe='.-').replace('+', '%2B')}@{version}?arch={self.architecture}&distro={SUITE}"
        return f"pkg:pypi/{self.name.lower().replace('_', '-')}@{version}"


def components(root: Path, packages: Iterable[Package]) -> list[Component]:
    """Every Debian package and every Python distribution in the root, sorted; licences from their copyright files and metadata."""
    found = [
        Component(
            "deb", one.name, one.version, one.architecture, _copyright(root, one.name), f"{one.source} {one.source_version}", one.homepage
        )
        for one in packages
        if not only_for_build(one.name)
    ]
    for one in distributions(path=[str(root / SITE)]):
        found.append(Component("pypi", one.metadata["Name"], one.version, "", _licence(one), "", _field(one, "Home-page")))
    return sorted(found, key=lambda one: (one.kind, one.name.lower()))


def manifest(parts: Sequence[Component]) -> str:
    """A line a package: kind, name, version, architecture."""
    return "".join(" ".join(word for word in (one.kind, one.name, one.version, one.architecture) if word) + "\n" for one in parts)


def licences(parts: Sequence[Component]) -> str:
    """A line a package with its licences; the whole texts are in the image, /usr/share/doc/PACKAGE/copyright."""
    return "".join(f"{one.name} {one.version}: {', '.join(one.licences) or 'see its copyright file'}\n" for one in parts)


def sbom(parts: Sequence[Component], name: str, version: str, epoch: int) -> str:
    """CycloneDX 1.6. The serial number depends on the content, so that the same image has the same."""
    listed = [_entry(one) for one in parts]
    serial = uuid.uuid5(NAMESPACE, json.dumps(listed, sort_keys=True) + version)
    whole = {
        "bomFormat": "CycloneDX",
        "specVersion": CYCLONEDX,
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "operating-system", "bom-ref": name, "name": name, "version": version},
        },
        "components": listed,
    }
    return json.dumps(whole, indent=1) + "\n"


def _entry(one: Component) -> dict[str, object]:
    entry: dict[str, object] = {"type": "library", "bom-ref": one.purl, "name": one.name, "version": one.version, "purl": one.purl}
    if one.licences:
        entry["licenses"] = [{"license": {"name": licence}} for licence in one.licences]
    if one.homepage:
        entry["externalReferences"] = [{"type": "website", "url": one.homepage}]
    if one.source:
        entry["properties"] = [{"name": "debian:source", "value": one.source}]
    return entry


def _copyright(root: Path, name: str) -> tuple[str, ...]:
    """Licence names of a machine-readable copyright file (DEP 5), in alphabetical order."""
    path = root / "usr/share/doc" / name / "copyright"
    text = path.read_text(errors="replace") if path.exists() else ""
    return tuple(sorted({match.strip() for match in LICENCE_LINE.findall(text) if len(match) < 80}))


def _field(one: Distribution, name: str) -> str:
    values: list[str] = one.metadata.get_all(name) or []
    return values[0] if values else ""


def _licence(one: Distribution) -> tuple[str, ...]:
    if expression := _field(one, "License-Expression"):
        return (expression,)
    listed = one.metadata.get_all("Classifier") or []
    classified = [line.rsplit(" :: ", 1)[1] for line in listed if line.startswith("License :: ") and line.count(" :: ") > 1]
    stated = _field(one, "License").strip()
    return tuple(classified) or ((stated,) if stated and len(stated) < 80 else ())
