"""A bulk upload: lines out of a stream, answers into a spool, and the sum of both. It knows no HTTP and no writer.

    pieces of a body ─▶ LineReader ─▶ Line, Line, … ─▶ (written in groups) ─▶ Tally ─▶ Spool ─▶ pieces of the answer

Nothing is held whole: not the body, and of the answer only what its reader did not take yet, on the disk. Every line is
counted and answered by its number in the file; a heading is a line like any other, so it is refused and not dropped.
Source: design page 3, "HTTP API".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Final, NamedTuple

from timebank_kit.problem_answers import EdgeProblem

LINE_BYTES_MAX: Final = 16_384
LINES_MAX: Final = 100_000
BYTES_MAX: Final = 64 * 1_048_576
MEMORY_BYTES_MAX: Final = 1_048_576
"""Answers that wait beyond this wait in a file."""
PIECE_BYTES: Final = 65_536
_BOM: Final = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line of the file, from 1; `raw` is without its end."""

    number: int
    raw: bytes
    too_long: bool = False


class LineReader:
    """Takes the lines out of a body that comes in pieces."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._too_long = False
        self._bytes = 0
        self._lines = 0

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that end in this piece.

        Raises:
            EdgeProblem: `too_large`, after the lines that the file may have.
        """
        self._bytes += len(piece)
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            self._keep(piece[start:end])
            start = end + 1
            if self._lines == LINES_MAX:
                raise EdgeProblem("too_large", f"An upload has at most {LINES_MAX} lines; send the rest by itself.")
            yield self._line()
        self._keep(piece[start:])
        if self._bytes > BYTES_MAX:
            raise EdgeProblem("too_large", f"An upload has at most {BYTES_MAX} bytes; send the rest by itself.")

    def check_end(self) -> None:
        """Raise `malformed` when the body ended within a line: that line may have been cut."""
        if self._rest or self._too_long:
            raise EdgeProblem(
                "malformed",
                f"Line {self._lines + 1} does not end: the body was cut, or its last line needs a line feed.",
            )

    def _keep(self, part: bytes) -> None:
        if len(self._rest) + len(part) > LINE_BYTES_MAX:
            self._too_long = True
        if self._too_long:
            self._rest.clear()
        else:
            self._rest += part

    def _line(self) -> Line:
        self._lines += 1
        raw, too_long = bytes(self._rest), self._too_long
        self._rest.clear()
        self._too_long = False
        # Some programs mark a file as UTF-8 by three bytes that are no part of its first line.
        return Line(self._lines, raw.removeprefix(_BOM) if self._lines == 1 else raw, too_long)


def check_line(line: Line) -> None:
    """Raise `EdgeProblem` for a line that cannot be a command: blank, or too long."""
    if line.too_long:
        raise EdgeProblem("too_large", f"A line has at most {LINE_BYTES_MAX} bytes.")
    if not line.raw.strip(b" \t\r"):
        raise EdgeProblem("malformed", "The line is blank: each line is one command.")


@dataclass(slots=True)
class Tally:
    """What became of the lines so far: each is one of the four."""

    skipped: int = 0
    written: int = 0
    repeated: int = 0
    refused: int = 0

    @property
    def lines(self) -> int:
        """How many lines of the file were answered or skipped: whoever goes on begins with the next."""
        return self.skipped + self.written + self.repeated + self.refused

    def summary(self, *, position: int, problem: dict[str, Any] | None) -> dict[str, Any]:
        """The answer's last line.

        Args:
            position: the journal's length, with all that was written.
            problem: why the rest of the file was not taken, None when there is no rest.
        """
        counts = {"lines": self.lines, "skipped": self.skipped, "written": self.written}
        counts |= {"repeated": self.repeated, "refused": self.refused, "position": position}
        return counts | ({"complete": True} if problem is None else {"complete": False, "problem": problem})


class Spool:
    """What is answered and not yet taken: in memory while it is little, then in a file that has no name.

    Many clients send their whole body before they read a byte. Were the answer held back until they do, and the body
    until the answer is gone, both sides would wait for ever.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=MEMORY_BYTES_MAX)  # noqa: SIM115 - closed by `close`
        self._put = 0
        self._taken = 0
        self._ended = False
        self._news = asyncio.Event()

    def put(self, raw: bytes) -> None:
        """Add to the answer."""
        if self._put == self._taken:
            # Nothing waits, so the room is used again.
            self._put = self._taken = 0
        self._file.seek(self._put)
        self._file.write(raw)
        self._put += len(raw)
        self._news.set()

    def end(self) -> None:
        """Nothing more is added."""
        self._ended = True
        self._news.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The answer piece by piece, until its end; for one reader."""
        while True:
            if self._taken < self._put:
                self._file.seek(self._taken)
                piece = self._file.read(min(PIECE_BYTES, self._put - self._taken))
                self._taken += len(piece)
                yield piece
            elif self._ended:
                return
            else:
                self._news.clear()
                await self._news.wait()

    def close(self) -> None:
        """Drop what was not taken."""
        self._file.close()
