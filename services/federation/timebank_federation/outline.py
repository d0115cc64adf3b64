"""What the sender reads of an entry: its number, whose it is, and the messages in it.

The entries come from the town's own ledger, which judged every field before it wrote them; here no rule reads them. So
they are decoded without those checks, which takes a tenth of the time.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from timebank_contracts.errors import Malformed


class _Actor(msgspec.Struct, frozen=True):
    id: str = ""


class _Data(msgspec.Struct, frozen=True):
    peer: str = ""


class Outline(msgspec.Struct, frozen=True):
    """The parts of an entry that concern a stream."""

    n: int
    type: str
    by: _Actor
    data: _Data
    in_: Raw | UnsetType = msgspec.field(name="in", default=UNSET)
    out: Raw | UnsetType = UNSET

    @property
    def peer(self) -> str:
        """The peer whose message caused this entry, or to whom it goes; "" for an entry about no stream."""
        if self.in_ is not UNSET:
            return self.by.id
        if self.data.peer or self.out is UNSET:
            return self.data.peer
        # Thanks, and the end of a claim, name what they are about; to whom they go stands in the message.
        return _subject_decoder.decode(self.out).subject


class _Message(msgspec.Struct, frozen=True):
    subject: str


_subject_decoder: Final = msgspec.json.Decoder(_Message)
_decoder: Final = msgspec.json.Decoder(Outline)


def decode_outline(raw: bytes) -> Outline:
    """The outline of an entry of our own ledger; raises `Malformed` for what is none."""
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Malformed(f"The ledger's journal holds something that is no entry: {error}.") from error
