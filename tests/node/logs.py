"""A log on paper: what a node would answer to a mirror, from a list of entries. It can lie, as a test wants."""

from __future__ import annotations

import httpx

from contracts.vectors.paper_town import PaperTown, two_towns
from timebank_contracts.checkpoint import Checkpoint, sign_checkpoint
from timebank_contracts.keys import SigningKey
from timebank_contracts.log_files import LogFiles
from timebank_contracts.note import VerifierKey
from timebank_contracts.tiles import TileName, root_of_entries, tile_path
from timebank_node.mirror_door import LogAway, LogDoor


class PaperLog(LogDoor):
    """Answers from entries; `answers` pages are given before the node is away, all of them by default."""

    def __init__(self, origin: str, key: SigningKey, entries: list[bytes]) -> None:
        super().__init__(httpx.Client())
        self.origin, self.key = origin, key
        self.log = entries
        self.given = entries
        """What is given as entries; another list than `log` is a lie."""
        self.answers = 10_000

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.origin, self.key.public)

    def checkpoint(self) -> bytes:
        return sign_checkpoint(Checkpoint(self.origin, len(self.log), root_of_entries(self.log)), self.key)

    def tile(self, name: TileName) -> bytes:
        return dict(LogFiles(self.log))[tile_path(name)]

    def entries(self, start: int, limit: int, *, wait_seconds: int = 0) -> list[bytes]:
        self.answers -= 1
        if self.answers < 0:
            raise LogAway("The node does not answer.")
        return self.given[start : start + limit]


def long_log(count: int = 600) -> tuple[PaperTown, PaperLog]:
    """A town with so many gifts, and its log."""
    town, _, _, _ = two_towns()
    town.account("brian")
    for number in range(count):
        payer, payee = ("alys", "brian") if number % 2 else ("brian", "alys")
        town.post((payer, -1), (payee, 1))
    return town, PaperLog(town.book.me.origin, town.log_key, town.journal)
