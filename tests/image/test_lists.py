"""The lists the build reads, and what it makes of packages: manifest, SBOM, licences, Imager's manifest."""

import json
from pathlib import Path

import pytest

from image.build import bill, imager, kernel, packages, wheels
from image.build.cli import SOURCE, wanted
from image.build.host import BuildError

PARTS = [
    bill.Component("deb", "libstdc++6", "1:14.2.0-19+b1", "arm64", ("GPL-3+",), "gcc-14 14.2.0-19", "https://gcc.gnu.org/"),
    bill.Component("pypi", "Sqlite_Utils", "4.2.1", "", (), "", ""),
]


def test_packages_are_parsed() -> None:
    assert packages.parse_wanted("a1   # why\n\n-linux-image-arm64/trixie-backports\n!dpkg\n") == [
        packages.Wanted("a1"),
        packages.Wanted("linux-image-arm64", "trixie-backports", alone=True),
        packages.Wanted("dpkg", unwanted=True),
    ]


@pytest.mark.parametrize("line", ["Two Words", "a", "name/", "--name"])
def test_a_line_that_names_no_package_is_named(line: str) -> None:
    with pytest.raises(BuildError, match="line 2"):
        packages.parse_wanted(f"dash\n{line}\n")


def test_both_lists_of_packages_are_read() -> None:
    names = [one.name for one in wanted()]
    assert {"systemd", "linux-image-arm64", "dnsmasq-base"} <= set(names)
    assert len(names) == len(set(names))


def test_modules_are_parsed_and_those_they_need_are_taken_along() -> None:
    listed = kernel.parse_modules("initrd fs/ext4/\ndrivers/leds/leds-*.ko\n")
    assert listed.initrd == ("fs/ext4/",)
    assert kernel.matches("fs/ext4/ext4.ko.xz", listed.everywhere)
    assert kernel.matches("drivers/leds/leds-gpio.ko.xz", listed.everywhere)
    assert not kernel.matches("drivers/leds/trigger/ledtrig-cpu.ko.xz", ("drivers/leds/leds-gpio.ko",))
    depends = kernel.parse_depends("a.ko: b.ko c.ko\nb.ko: c.ko\nc.ko:\nd.ko:\n")
    assert kernel.with_needed({"a.ko"}, depends) == {"a.ko", "b.ko", "c.ko"}
    assert kernel.parse_modules("not drivers/bluetooth/hci_uart.ko\n").unwanted == ("drivers/bluetooth/hci_uart.ko",)
    for line in ("boot fs/ext4/\n", "initrd not fs/ext4/\n"):
        with pytest.raises(BuildError, match="line 1"):
            kernel.parse_modules(line)


def test_runtime_requirements_are_what_the_server_depends_on() -> None:
    """The build's own tools stay out; every dependency of the project is in, with its hashes."""
    found = wheels.runtime_requirements((SOURCE / "requirements.lock").read_text())
    names = {entry.split("==")[0] for entry in found}
    assert {"trio", "cryptography", "sqlite-utils", "gpiozero", "cffi", "sortedcontainers"} <= names
    assert not names & {"hatchling", "editables", "pip", "setuptools"}
    assert all("--hash=sha256:" in entry for entry in found)


def test_manifest_and_licences_have_a_line_a_package() -> None:
    assert bill.manifest(PARTS) == "deb libstdc++6 1:14.2.0-19+b1 arm64\npypi Sqlite_Utils 4.2.1\n"
    assert bill.licences(PARTS) == "libstdc++6 1:14.2.0-19+b1: GPL-3+\nSqlite_Utils 4.2.1: see its copyright file\n"


def test_sbom_is_cyclonedx_with_package_urls() -> None:
    """CycloneDX 1.6; octets outside of the unreserved ones are escaped in a package URL."""
    text = bill.sbom(PARTS, "pillarbox", "0.1.0", 86400)
    whole = json.loads(text)
    assert (whole["bomFormat"], whole["specVersion"], whole["version"]) == ("CycloneDX", "1.6", 1)
    assert whole["serialNumber"].startswith("urn:uuid:")
    assert whole["metadata"]["timestamp"] == "1970-01-02T00:00:00Z"
    assert [one["purl"] for one in whole["components"]] == [
        "pkg:deb/debian/libstdc%2B%2B6@1%3A14.2.0-19%2Bb1?arch=arm64&distro=trixie",
        "pkg:pypi/sqlite-utils@4.2.1",
    ]
    assert text == bill.sbom(PARTS, "pillarbox", "0.1.0", 86400)
    assert text != bill.sbom(PARTS[:1], "pillarbox", "0.1.0", 86400)


def test_licence_names_of_a_copyright_file(tmp_path: Path) -> None:
    place = tmp_path / "usr/share/doc/dash"
    place.mkdir(parents=True)
    (place / "copyright").write_text("Files: *\nLicense: BSD-3-clause\n text\n\nLicense: GPL-2+\n")
    one = packages.Package("dash", "1", "arm64", "dash", "1", "", "dash_1_arm64.deb")
    assert bill.components(tmp_path, [one])[0].licences == ("BSD-3-clause", "GPL-2+")


def test_imager_manifest_has_what_imager_demands() -> None:
    """The required members of os-list-schema.json, absolute addresses, and the form of customisation."""
    text = imager.imager_manifest(
        folder_url="file:///srv/out", file="pillarbox", version="1.0", extract_size=5, extract_sha256="ab", size=3, sha256="cd", epoch=86400
    )
    (entry,) = json.loads(text)["os_list"]
    required = {"name", "description", "icon", "url", "extract_size", "extract_sha256", "image_download_size", "release_date"}
    assert required <= set(entry)
    assert entry["init_format"] == "rpi-preseed"
    assert entry["release_date"] == "1970-01-02"
    assert all(entry[name].startswith("file:///") for name in ("icon", "url", "bmap_url"))
