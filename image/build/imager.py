"""The manifest Raspberry Pi Imager opens by a double click: only with it Imager 2 customises an image that is not in its own list.

Schema: os-list-schema.json of rpi-imager; `init_format` rpi-preseed since Imager 2.0.11. Addresses must be absolute.
"""

import json
from datetime import UTC, datetime

DEVICES = ("pi3-64bit", "pi4-64bit", "pi5-64bit")
"""Imager's names; Zero 2 W is one of pi3-64bit."""

RELEASE_URL = "https://RELEASE.EXAMPLE/pillarbox"
"""Stands in the release template for the folder the files are published in."""


def imager_manifest(
    *, folder_url: str, file: str, version: str, extract_size: int, extract_sha256: str, size: int, sha256: str, epoch: int
) -> str:
    """A list with one system, whose files are below `folder_url`."""
    entry = {
        "name": f"Pillarbox {version}",
        "description": "A mail server for the home: Raspberry Pi 3, 4, 5 and Zero 2 W",
        "icon": f"{folder_url}/pillarbox.svg",
        "url": f"{folder_url}/{file}.img.zst",
        "bmap_url": f"{folder_url}/{file}.bmap",
        "extract_size": extract_size,
        "extract_sha256": extract_sha256,
        "image_download_size": size,
        "image_download_sha256": sha256,
        "release_date": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d"),
        "init_format": "rpi-preseed",
        "devices": list(DEVICES),
        "architecture": "armv8",
    }
    return json.dumps({"os_list": [entry]}, indent=2) + "\n"
