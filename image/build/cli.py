"""`python -m image`: arguments, and the steps of the build in their order."""

import argparse
import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from . import bill, disk, host, kernel, packages, root, slot, wheels
from .bmap import block_map
from .imager import RELEASE_URL, imager_manifest
from .initrd import make_initrd
from .layout import BOOT, DATA, DATA_LABEL, DISK_ID, SECTOR_OCTETS, SLOT_A, SLOT_B
from .tools import Tools, debian_mirror, make_tools, open_tools

SOURCE = Path(__file__).resolve().parents[2]
NAME = "pillarbox"
SETTINGS = "pillarbox.toml"
WRONG_ARGUMENTS = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """Wrong arguments end with status 2 and one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_ARGUMENTS, f"make image: {message}. See: python -m image --help\n")


@dataclass(frozen=True, slots=True)
class Options:
    """Where the build reads and writes."""

    output: Path
    cache: Path
    work: Path
    mirror: str
    offline: bool
    release_url: str


def default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "pillarbox-image"


def parse(arguments: Sequence[str]) -> Options:
    parser = Parser(prog="python -m image", description="Build the flashable image for Raspberry Pi 3, 4, 5 and Zero 2 W.")
    parser.add_argument("--output", type=Path, default=SOURCE / "build/image", help="folder for the image and the files beside it")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for what is fetched, kept between builds")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"), help="folder for temporary files; 3 GB are needed")  # noqa: S108
    parser.add_argument("--mirror", default=debian_mirror(), help="Debian mirror")
    parser.add_argument("--offline", action="store_true", help="fetch nothing: the same packages as the last build")
    parser.add_argument("--release-url", default=RELEASE_URL, help="address of the folder the release template names")
    given = parser.parse_args(arguments)
    if not given.mirror.startswith(("http://", "https://", "file:///")):
        parser.error(f"--mirror is an address, not {given.mirror}")
    if not given.work.is_dir():
        parser.error(f"--work names a folder that is there, not {given.work}")
    return Options(
        given.output.resolve(),
        given.cache.resolve(),
        given.work.resolve(),
        given.mirror.rstrip("/"),
        given.offline,
        given.release_url.rstrip("/"),
    )


def main(arguments: Sequence[str]) -> int:
    """The exit status: 2 for wrong arguments and for what is missing, 1 for a build that failed, 130 when interrupted."""
    options = parse(arguments)
    try:
        host.require()
    except host.BuildError as error:
        print(f"make image: {error}")
        return WRONG_ARGUMENTS
    os.umask(0o022)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is temporary is removed
    work = Path(tempfile.mkdtemp(prefix="pillarbox-image.", dir=options.work))
    try:
        host.enter_private_namespace()
        build(options, work)
    except host.BuildError as error:
        print(f"make image: {error}")
        return 1
    except KeyboardInterrupt:
        print("make image: interrupted; nothing is left mounted.")
        return INTERRUPTED
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


def build(options: Options, work: Path) -> None:
    """All steps; `work` is /build for the programs of the tools root."""
    progress = host.Progress()
    options.cache.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    progress("tools: a Debian root with the programs of the build")
    tools_root = make_tools(options.cache, options.mirror)
    tools = open_tools(tools_root, (("build", work), ("cache", options.cache), ("source", SOURCE)), 0)
    chosen, epoch = fetch(tools, options, progress)
    tools = Tools(tools_root, epoch)
    for place in ("root", "initrd", "slot", "boot"):
        (work / place).mkdir()
    make_root(tools, work, chosen, epoch, progress)
    make_slot(tools, work, epoch, progress)
    version = server_version(work)
    parts = bill.components(work / "root", chosen)
    progress("disk: partitions and file systems")
    boot_image = disk.make_fat(tools, work, "boot", BOOT, epoch)
    slot_image = disk.make_fat(tools, work, "slot", SLOT_A, epoch)
    image, ranges = disk.assemble(tools, work, boot_image, slot_image)
    progress("disk: compression")
    write_results(tools, options, Result(image, ranges, parts, version, epoch))
    progress(f"done: {options.output / NAME}.img.zst, {(options.output / f'{NAME}.img.zst').stat().st_size / 1e6:.1f} MB")


def fetch(tools: Tools, options: Options, progress: host.Progress) -> tuple[list[packages.Package], int]:
    """The packages, and the time of the newest archive they come from."""
    archive = packages.Archive(tools, options.cache, options.mirror)
    if options.offline:
        progress("packages: as recorded in the cache")
        chosen = archive.recorded()
        wheels.check_fetched(SOURCE, options.cache)
    else:
        progress("packages: choosing and fetching")
        chosen = archive.fetch(wanted())
        progress("wheels: fetching")
        wheels.fetch_wheels(tools, SOURCE, options.cache)
    return chosen, archive.release_date()


def wanted() -> list[packages.Wanted]:
    """Packages the image is made of and those its configuration asks for."""
    found: dict[str, packages.Wanted] = {}
    for path in (SOURCE / "image/packages.txt", SOURCE / "firmware-config/packages.txt"):
        for one in packages.parse_wanted(path.read_text()):
            found.setdefault(one.name, one)
    return list(found.values())


def make_root(tools: Tools, work: Path, chosen: list[packages.Package], epoch: int, progress: host.Progress) -> None:
    """/build/root with its bytecode, and the kernel's parts of root, initrd and slot."""
    place = work / "root"
    progress(f"root: unpacking {len(chosen)} packages")
    root.unpack(tools, chosen)
    root.keep_kernel_licences(work)
    slot.install_firmware(place, work)
    root.cut(place, (SOURCE / "image/unwanted.txt").read_text())
    progress("root: the server and its libraries")
    wheels.install_wheels(tools)
    wheels.install_server(SOURCE, work, epoch)
    wheels.compile_lgpio(tools, work, next(one.file for one in chosen if one.name in packages.BUILD_ONLY))
    progress("root: kernel modules")
    kernel.install_kernel(tools, work, kernel.parse_modules((SOURCE / "image/modules.txt").read_text()))
    progress("root: configuration")
    root.overlay_tree(SOURCE / "firmware-config/rootfs", place)
    root.finish(tools, place, epoch)
    progress("root: bytecode")
    tools.run("python3.13", "/source/image/build/bytecode.py", "/build/root", "/" + wheels.LEAN)


def make_slot(tools: Tools, work: Path, epoch: int, progress: host.Progress) -> None:
    """/build/slot and /build/boot, complete."""
    progress("initrd")
    (work / "initrd/etc").mkdir(parents=True, exist_ok=True)
    (work / "initrd/etc/layout").write_text(initrd_layout())
    make_initrd(tools, work, SOURCE, epoch)
    progress("root: file system")
    slot.install_boot_files(tools, SOURCE, work)
    root.settle_times(work / "root", epoch)
    slot.make_root_image(tools, epoch)


def initrd_layout() -> str:
    """What the initrd must know of the layout, as shell assignments."""
    mark = DISK_ID.to_bytes(4, "little").decode("ascii")
    start = DATA.start_octets // SECTOR_OCTETS
    facts = {"DISK_MARK": mark, "DATA_START": start, "DATA_LABEL": DATA_LABEL, "SLOT_A": SLOT_A.number, "SLOT_B": SLOT_B.number}
    return "".join(f"{name}={value}\n" for name, value in (facts | {"SETTINGS": SETTINGS}).items())


def server_version(work: Path) -> str:
    """Version of the server in the image."""
    return next((work / "root" / wheels.SITE).glob("pillarbox-*.dist-info")).name.removesuffix(".dist-info").split("-")[1]


@dataclass(frozen=True, slots=True)
class Result:
    """A finished disk image, and what is written about it."""

    image: Path
    ranges: list[tuple[int, int]]
    parts: list[bill.Component]
    version: str
    epoch: int


def write_results(tools: Tools, options: Options, result: Result) -> None:
    """The image and the files beside it."""
    output = options.output
    (output / f"{NAME}.bmap").write_text(block_map(result.image, result.ranges))
    extract_size, extract_sha256 = result.image.stat().st_size, sha256(result.image)
    packed = output / f"{NAME}.img.zst"
    disk.compress(tools, result.image.parent, packed)
    (output / f"{NAME}.manifest").write_text(bill.manifest(result.parts))
    (output / f"{NAME}.licences").write_text(bill.licences(result.parts))
    (output / f"{NAME}.cdx.json").write_text(bill.sbom(result.parts, NAME, result.version, result.epoch))
    shutil.copyfile(SOURCE / "image/pillarbox.svg", output / "pillarbox.svg")
    for name, folder in ((f"{NAME}.rpi-imager-manifest", output.as_uri()), ("release.rpi-imager-manifest", options.release_url)):
        (output / name).write_text(
            imager_manifest(
                folder_url=folder,
                file=NAME,
                version=result.version,
                extract_size=extract_size,
                extract_sha256=extract_sha256,
                size=packed.stat().st_size,
                sha256=sha256(packed),
                epoch=result.epoch,
            )
        )


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
