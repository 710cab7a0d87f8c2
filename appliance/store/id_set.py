"""A set of identities that are numbers given in order: one bit each where they stand close together.

100,000 of one account take 30 KB, as a `set` they take 8 MB.
"""

BITS = 10
"""Of a number, that say where in its block it stands: a block is an integer of 2 ** BITS bits."""
MASK = (1 << BITS) - 1


class IdSet:
    """`len` counts the bits, 0.1 us for each block of 1,024 numbers."""

    __slots__ = ("_blocks",)

    def __init__(self, blocks: dict[int, int] | None = None) -> None:
        self._blocks: dict[int, int] = blocks if blocks is not None else {}

    def add(self, number: int) -> None:
        block = number >> BITS
        self._blocks[block] = self._blocks.get(block, 0) | 1 << (number & MASK)

    def discard(self, number: int) -> None:
        block = number >> BITS
        left = self._blocks.get(block, 0) & ~(1 << (number & MASK))
        if left:
            self._blocks[block] = left
        else:
            self._blocks.pop(block, None)

    def __contains__(self, number: int) -> bool:
        return bool(self._blocks.get(number >> BITS, 0) >> (number & MASK) & 1)

    def __len__(self) -> int:
        return sum(bits.bit_count() for bits in self._blocks.values())

    def __and__(self, other: "IdSet") -> "IdSet":
        return IdSet({block: both for block, bits in self._blocks.items() if (both := bits & other._blocks.get(block, 0))})
