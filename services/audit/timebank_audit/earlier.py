"""What an earlier audit saw: the logs in a report, each with its size and root.

Source: design page 5, A12 and `diff`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from timebank_audit.files import find_towns
from timebank_audit.log import read_checkpoint
from timebank_audit.policy import read_small
from timebank_audit.stores import show_path
from timebank_contracts.checkpoint import Checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import Hash, JournalPosition
from timebank_contracts.names import parse_origin

REPORT_BYTES_MAX: Final = 64 * 1_048_576


class TownSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A town of an earlier report."""

    origin: Annotated[str, Meta(max_length=300)]
    size: JournalPosition
    root: Hash
    unusable: str


class ReportSeen(msgspec.Struct, frozen=True, kw_only=True):
    """As much of an earlier report as is compared."""

    towns: Annotated[list[TownSeen], Meta(max_length=1_000)]


_decoder: Final = msgspec.json.Decoder(ReportSeen)


def read_earlier(path: Path) -> list[Checkpoint]:
    """The logs that a report (`audit verify --json`) saw whole; raises `Malformed`."""
    try:
        seen = _decoder.decode(read_small(path, REPORT_BYTES_MAX))
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Malformed(f"{show_path(path)} is not a report of `timebank audit verify --json`: {error}.") from error
    for town in seen.towns:
        parse_origin(town.origin)
    return [Checkpoint(town.origin, town.size, bytes.fromhex(town.root)) for town in seen.towns if not town.unusable]


def read_seen(path: Path) -> list[Checkpoint]:
    """What was seen then: by a report, or by an export or bundle that was kept; raises `Malformed`."""
    if path.is_file() and path.suffix == ".json":
        return read_earlier(path)
    given, _ = find_towns([path])
    return [read_checkpoint(files) for files in given]
