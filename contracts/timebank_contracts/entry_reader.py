"""Reading many entries: what `decode_entry` gives for each, several times as fast where local transfers are common.

A journal's parts repeat: the same actors, accounts and kinds of service. So local transfers are decoded and encoded
again together (which proves canonical form), and each part is judged by the strict rules once and remembered by its
bytes. Whatever is not plainly good goes to `decode_entry`, which alone decides what is refused and in which words.
Source: PROTOCOL.md C1 to C5, E1 to E4; a property test holds the two readers together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from timebank_contracts import canonical, moments, names
from timebank_contracts.entries import POSTINGS_MAX, Actor, AnyEntry, Posted, TransferPosted, decode_entry
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import JournalPosition, PostedMinutes

REMEMBERED_MAX: Final = 100_000
"""Parts remembered before all are forgotten: a bound on memory, above any town's accounts."""

POSTED_END: Final = b',"type":"transfer.posted"}'
_ACCOUNT = re.compile(names.ACCOUNT_PATTERN)
_TIMES = re.compile("(?:{})*".format(re.sub(r"\((?!\?)", "(?:", moments.TIME_PATTERN[1:].partition("$")[0])))
"""Any number of good times, one behind the other; each has `_TIME_CHARACTERS`, so none hides in another."""


_TIME_CHARACTERS: Final = 24
_Time = Annotated[str, Meta(min_length=_TIME_CHARACTERS, max_length=_TIME_CHARACTERS)]
_Digits = Annotated[str, Meta(min_length=32, max_length=32)]


class Outline(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    tag="transfer.posted",
    gc=False,
):
    """A local transfer whose texts and parts are still to be judged."""

    n: JournalPosition
    time: _Time
    by: Raw
    data: Raw
    postings: Annotated[list[tuple[str, PostedMinutes]], Meta(min_length=2, max_length=POSTINGS_MAX)]
    key: _Digits | UnsetType = UNSET
    command: _Digits | UnsetType = UNSET


_outlines: Final = msgspec.json.Decoder(Outline)
posted_data: Final = msgspec.json.Decoder(Posted)
actors: Final = msgspec.json.Decoder(Actor)


class EntryReader:
    """Decodes entries in groups, and remembers the parts that were found good."""

    def __init__(self) -> None:
        self._actors: dict[bytes, Actor] = {}
        self._posted: dict[bytes, Posted] = {}
        self._accounts: set[str] = set()

    def read(self, raws: Sequence[bytes]) -> Iterator[AnyEntry]:
        """The entries in these canonical bytes, in order.

        Args:
            raws: a group, such as an entry bundle; memory grows with the group.

        Raises:
            UnknownEntryType, Malformed: as `decode_entry`, after the entries before the bad one.
        """
        posted = [raw for raw in raws if raw.endswith(POSTED_END)]
        found = self._read_posted(posted) if posted else []
        if found is None:
            yield from map(decode_entry, raws)
        elif len(found) == len(raws):
            yield from found
        else:
            good = iter(found)
            for raw in raws:
                yield next(good) if raw.endswith(POSTED_END) else decode_entry(raw)

    def _read_posted(self, raws: list[bytes]) -> list[TransferPosted] | None:
        """Local transfers, when every one is plainly good, else None."""
        outlines = read_outlines(raws)
        try:
            return None if outlines is None else self._judge(outlines)
        except Malformed:
            return None

    def _judge(self, outlines: list[Outline]) -> list[TransferPosted] | None:
        known, datas, accounts = self._actors, self._posted, self._accounts
        for remembered in (known, datas, accounts):
            if len(remembered) > REMEMBERED_MAX:
                remembered.clear()
        judged: list[TransferPosted] = []
        append = judged.append
        for outline in outlines:
            raw_by, raw_data = bytes(outline.by), bytes(outline.data)
            by = known.get(raw_by)
            if by is None:
                by = known[raw_by] = canonical.decode(raw_by, actors)
            data = datas.get(raw_data)
            if data is None:
                data = datas[raw_data] = canonical.decode(raw_data, posted_data)
            postings = outline.postings
            for account, _ in postings:
                if account not in accounts:
                    if not _ACCOUNT.search(account):
                        return None
                    accounts.add(account)
            append(
                TransferPosted(
                    n=outline.n,
                    time=outline.time,
                    by=by,
                    data=data,
                    postings=postings,
                    key=outline.key,
                    command=outline.command,
                )
            )
        return judged


def read_outlines(raws: list[bytes]) -> list[Outline] | None:
    """Local transfers in one canonical form, with good times and keys, when all are so; else None.

    Their actors, data and accounts are still to be judged.
    """
    lines = b"\n".join(raws)
    if lines.count(b"\n") != len(raws) - 1 or max(map(len, raws)) > canonical.ENTRY_BYTES_MAX:
        return None
    try:
        outlines = _outlines.decode_lines(lines)
        again = canonical.encoder.encode_lines(outlines)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    # Neither side has a line feed within an entry, so equal lines are equal entries.
    if len(outlines) != len(raws) or again[:-1] != lines:
        return None
    are_times = _TIMES.fullmatch("".join([outline.time for outline in outlines]))
    return outlines if are_times and _are_keys(outlines) else None


def _are_keys(outlines: list[Outline]) -> bool:
    """Whether every key and command present, 32 characters each, consists of lower-case hexadecimal digits."""
    texts = [outline.key for outline in outlines if outline.key is not UNSET]
    texts += [outline.command for outline in outlines if outline.command is not UNSET]
    digits = "".join(texts)
    try:
        # `fromhex` passes over blanks and takes capitals: both are excluded by comparing the digits written again.
        return bytes.fromhex(digits).hex() == digits
    except ValueError:
        return False
