"""Uploads: a whole file of transfers, a JSON object a line, answered line by line; a broken line is taken up again.

    file ─▶ POST, as it is read ─▶ answers, as they come ─▶ broken, or told to come later: again from the next line

Each line carries its own `key`, so one that was written and whose answer was lost is answered the same, and done once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from timebank_client.answers import Transfer
from timebank_client.asked import Keyed, body_of, dry
from timebank_client.door import Door
from timebank_client.errors import Problem, Refused, Unavailable, Unexpected, read_problem, refused
from timebank_client.retries import RETRIED_STATUSES

MEDIA_TYPE: Final = "application/x-ndjson"
PIECE_BYTES: Final = 65_536


class UploadedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one line: a transfer, or a refusal."""

    line: int
    """Its number in the file, from 1."""
    status: int
    transfer: Transfer | None = None
    problem: dict[str, Any] | None = None
    repeated: bool = False
    """It had been written before; this is the first answer."""

    @property
    def refusal(self) -> Refused | None:
        """Why nothing was written for this line."""
        problem = read_problem(self.problem, status=self.status)
        return None if problem is None else refused(problem)


class _Sum(msgspec.Struct, frozen=True, kw_only=True):
    lines: int
    complete: bool
    problem: dict[str, Any] | None = None


def write_upload(path: Path, transfers: Iterable[Keyed]) -> int:
    """Write a file for `upload`; returns how many lines it has. Every command needs a key of yours."""
    count = 0
    with path.open("wb") as file:
        for each in transfers:
            file.write(msgspec.json.encode({"key": each.key, **body_of(each.transfer)}) + b"\n")
            count += 1
    return count


def upload(door: Door, path: Path, *, from_line: int, dry_run: bool) -> Iterator[UploadedLine]:
    """See `Transfers.upload`."""
    following, in_vain = from_line, 0
    while True:
        begun = following
        problem: Problem | None = None
        text = "The answer ended before the file."
        try:
            for said in _answers(door, path, from_line=following, dry_run=dry_run):
                if isinstance(said, UploadedLine):
                    following = said.line + 1
                    yield said
                elif said.complete:
                    return
                else:
                    problem = _problem(said)
                    text = problem.detail
        except httpx.TransportError as error:
            text = f"{type(error).__name__}: {error}"
        except Unavailable as error:
            problem, text = error.problem, str(error)
        if problem is not None and problem.status not in RETRIED_STATUSES:
            raise refused(problem)
        in_vain = 1 if following > begun else in_vain + 1
        if in_vain >= door.tries_max:
            raise Unavailable(f"No line further in {in_vain} tries; go on with from_line={following}. {text}")
        door.pause(tried=in_vain)


def _answers(door: Door, path: Path, *, from_line: int, dry_run: bool) -> Iterator[UploadedLine | _Sum]:
    query = {"from_line": from_line, **dry(dry_run)}
    with (
        path.open("rb") as file,
        door.stream(
            "uploadTransfers", iter(lambda: file.read(PIECE_BYTES), b""), media_type=MEDIA_TYPE, query=query
        ) as answer,
    ):
        for raw in answer.iter_lines():
            if raw:
                yield _decoded(raw)


def _decoded(raw: str) -> UploadedLine | _Sum:
    try:
        said = msgspec.json.decode(raw)
        if "complete" in said:
            return msgspec.convert(said, _Sum)
        return msgspec.convert(said, UploadedLine)
    except (msgspec.MsgspecError, RecursionError, TypeError) as error:
        raise Unexpected(f"A line of the answer is not what the API documents: {error}.") from error


def _problem(said: _Sum) -> Problem:
    status = said.problem.get("status") if said.problem else None
    problem = read_problem(said.problem, status=status) if isinstance(status, int) else None
    if problem is None:
        raise Unexpected("The upload ended in the middle, and the town did not say why.")
    return problem
