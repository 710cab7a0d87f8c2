"""Block map of the image, version 2.0 as bmaptool(1) reads it: which blocks to write, with their SHA-256."""

import hashlib
from pathlib import Path

BLOCK_OCTETS = 4096
CHECKSUM_PLACE = "0" * 64
"""Stands where the file's own checksum comes, while that is computed."""


def block_map(image: Path, ranges: list[tuple[int, int]]) -> str:
    """The map of `image` with the ranges of octets (start, end), multiples of the block but for the image's end, in order."""
    size = image.stat().st_size
    lines, mapped = [], 0
    with image.open("rb") as file:
        for start, end in ranges:
            first, last = start // BLOCK_OCTETS, -(-end // BLOCK_OCTETS) - 1
            mapped += last - first + 1
            digest = hashlib.sha256()
            file.seek(first * BLOCK_OCTETS)
            left = min((last + 1) * BLOCK_OCTETS, size) - first * BLOCK_OCTETS
            while left:
                chunk = file.read(min(left, 1024 * 1024))
                digest.update(chunk)
                left -= len(chunk)
            blocks = str(first) if first == last else f"{first}-{last}"
            lines.append(f'        <Range chksum="{digest.hexdigest()}"> {blocks} </Range>')
    text = TEMPLATE.format(
        size=size, block=BLOCK_OCTETS, blocks=-(-size // BLOCK_OCTETS), mapped=mapped, checksum=CHECKSUM_PLACE, ranges="\n".join(lines)
    )
    return text.replace(CHECKSUM_PLACE, hashlib.sha256(text.encode()).hexdigest(), 1)


TEMPLATE = """<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> {size} </ImageSize>
    <BlockSize> {block} </BlockSize>
    <BlocksCount> {blocks} </BlocksCount>
    <MappedBlocksCount> {mapped} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {checksum} </BmapFileChecksum>
    <BlockMap>
{ranges}
    </BlockMap>
</bmap>
"""
