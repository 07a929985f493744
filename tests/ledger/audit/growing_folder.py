"""A public folder that grows step by step under a clock of the test, written by the log's own writer."""

from __future__ import annotations

from pathlib import Path

from ledger.formats.tiles import TILE_WIDTH, Tile, encode_bundle
from ledger.merkle import MemoryTree, leaf_hash
from ledger.sequencer.public_folder import PublicFolder
from tests.ledger.sequencer.log_cases import POLICY, cosigned


class Growing:
    """A log of given leaves in ``root``; ``time`` is the publisher's clock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.time = 0.0
        self.leaves: list[bytes] = []
        self._tree = MemoryTree()
        self.folder = PublicFolder(root, clock=lambda: self.time)
        self.folder.open(POLICY.format(), 0, self.content)

    def content(self, tile: Tile) -> bytes:
        """Bytes of a tile or bundle."""
        begin = tile.index * TILE_WIDTH
        if tile.level < 0:
            return encode_bundle(self.leaves[begin : begin + tile.width])
        return b"".join(self._tree.hash(8 * tile.level, begin + place) for place in range(tile.width))

    def stage(self, *leaves: bytes) -> None:
        """Write the tiles of some more leaves, and no checkpoint."""
        for one in leaves:
            self.leaves.append(one)
            self._tree.append(leaf_hash(one))
        self.folder.write(len(self.leaves), self.content)

    def add(self, *leaves: bytes) -> None:
        """Publish some more leaves."""
        self.stage(*leaves)
        self.folder.publish(cosigned(self.leaves), len(self.leaves))

    def partial(self) -> set[str]:
        """Names of the partial tiles that are there."""
        return {file.relative_to(self.root).as_posix() for file in (self.root / "tile").rglob("*.p/*")}
