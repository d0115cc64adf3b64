"""Transfers: hours given from one account to another, to several, or to somebody in another town.

    post ─▶ Transfer (posted, or sent to another town)          dry_run=True: the same answer, nothing written
    post_many ─▶ for each, in order: Transfer or Refused        what was asked to come again later is sent again

A command's Idempotency-Key is made before its first try; give your own (an order's number, say) and a crash of yours is
covered too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Unpack

import msgspec

from timebank_client.answers import Thanks, Transfer
from timebank_client.asked import (
    SESSION_FIELDS,
    Keyed,
    NewGroup,
    NewSession,
    NewTransfer,
    as_text,
    body_of,
    dry,
)
from timebank_client.door import Door
from timebank_client.errors import Refused, Unavailable, Unexpected, read_problem, refused
from timebank_client.retries import RETRIED_STATUSES
from timebank_client.uploads import UploadedLine, upload

BATCH_MAX: Final = 1_000
BATCH_BYTES_MAX: Final = 900_000
"""The town takes a megabyte."""
ROUNDS_MAX: Final = 5
"""How often those of a batch are sent again that were told to come later."""


class _BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    transfer: Transfer | None = None
    problem: dict[str, Any] | None = None


class _BatchAnswers(msgspec.Struct, frozen=True, kw_only=True):
    answers: list[_BatchAnswer]


class Transfers:
    """The transfers of a town."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def post(self, *, key: str | None = None, dry_run: bool = False, **transfer: Unpack[NewTransfer]) -> Transfer:
        """Pay minutes from one account to another.

        Args:
            key: Idempotency-Key; None: a new one.
            dry_run: answer as if, and write nothing.
            transfer: see `NewTransfer`.

        Raises:
            Refused: nothing was written; `code` says why (`floor`, `account_frozen`, …).
            Unavailable: it may have been written or not; post it again with the error's `key`.
        """
        return self._post(body_of(transfer), key=key, dry_run=dry_run)

    def post_group(self, *, key: str | None = None, dry_run: bool = False, **group: Unpack[NewGroup]) -> Transfer:
        """Enter one act of several accounts; see `NewGroup`. Args and Raises: see `post`."""
        return self._post(body_of(group), key=key, dry_run=dry_run)

    def post_session(self, *, key: str | None = None, dry_run: bool = False, **session: Unpack[NewSession]) -> Transfer:
        """Enter a group session; with `dry_run` the answer's `postings` show the split. Args and Raises: see `post`."""
        said = as_text(session)
        body = {name: value for name, value in said.items() if name not in SESSION_FIELDS}
        body["session"] = {name: said[name] for name in SESSION_FIELDS if name in said}
        return self._post(body, key=key, dry_run=dry_run)

    def post_many(
        self, transfers: Iterable[NewTransfer | NewGroup | Keyed], *, dry_run: bool = False
    ) -> Iterator[Transfer | Refused]:
        """Post many, each by itself: one that is refused spoils no other.

        Args:
            transfers: any number; they are read and sent by up to 1,000 at a time, as the answers are taken.
            dry_run: answer as if, and write nothing; each thousand is judged by itself.

        Yields:
            For each, in order: the transfer, or why it was refused.

        Raises:
            Unavailable: the town stopped answering. What was not yielded may have been written or not: with keys of
                your own (`Keyed`), begin again at the first that was not yielded.
        """
        batch: list[dict[str, Any]] = []
        size = 0
        for each in transfers:
            keyed = each if isinstance(each, Keyed) else Keyed(self._door.around.new_key(), each)
            command = {"key": keyed.key, **body_of(keyed.transfer)}
            length = len(msgspec.json.encode(command))
            if batch and (len(batch) == BATCH_MAX or size + length > BATCH_BYTES_MAX):
                yield from self._post_batch(batch, dry_run=dry_run)
                batch, size = [], 0
            batch.append(command)
            size += length
        if batch:
            yield from self._post_batch(batch, dry_run=dry_run)

    def upload(self, path: str | Path, *, from_line: int = 1, dry_run: bool = False) -> Iterator[UploadedLine]:
        """Send a file of transfers, as `write_upload` writes it: up to 100,000 lines, each judged by itself.

        Args:
            path: of the file; it is read again from its beginning when the line breaks.
            from_line: pass over the lines before this one.
            dry_run: answer as if, and write nothing; up to 1,000 lines.

        Yields:
            For each line, in order, what became of it. Taking the answers is what moves it on.

        Raises:
            Refused: the rest of the file cannot be taken (`too_large`, `malformed`).
            Unavailable: no line further, as often as was tried; the text says which one to go on with.
        """
        return upload(self._door, Path(path), from_line=from_line, dry_run=dry_run)

    def get(self, transfer: str) -> Transfer:
        """A transfer by its id; raises `NotFound`."""
        return self._door.ask("getTransfer", Transfer, path={"transfer": transfer})

    def reverse(
        self,
        transfer: str,
        *,
        reason: str,
        minutes: int | None = None,
        key: str | None = None,
        dry_run: bool = False,
    ) -> Transfer:
        """Take a transfer within the town back (needs scope `operate`).

        Args:
            transfer: its id.
            reason: mistake, not_given, duplicate or other.
            minutes: a part of it; None: all that is left.
            key: Idempotency-Key; None: a new one.
            dry_run: answer as if, and write nothing.
        """
        body = {"reason": reason} | ({} if minutes is None else {"minutes": minutes})
        return self._door.ask(
            "reverseTransfer",
            Transfer,
            path={"transfer": transfer},
            query=dry(dry_run),
            body=body,
            key=key or self._door.around.new_key(),
        )

    def refund(
        self,
        transfer: str,
        *,
        minutes: int | None = None,
        from_pot: bool = False,
        key: str | None = None,
        dry_run: bool = False,
    ) -> Transfer:
        """Give a transfer that came from another town back to whoever paid it.

        Args:
            transfer: its id.
            minutes: a part of it; None: all that is left.
            from_pot: the pot gives it back (a broker's word).
            key: Idempotency-Key; None: a new one.
            dry_run: answer as if, and write nothing.
        """
        body: dict[str, Any] = {"from_pot": from_pot} | ({} if minutes is None else {"minutes": minutes})
        return self._door.ask(
            "refundTransfer",
            Transfer,
            path={"transfer": transfer},
            query=dry(dry_run),
            body=body,
            key=key or self._door.around.new_key(),
        )

    def thank(self, transfer: str, *, side: str | None = None, key: str | None = None, dry_run: bool = False) -> Thanks:
        """Thank for a transfer, once from each side, within 90 days.

        Args:
            transfer: its id.
            side: payer or payee, when the client may speak for both.
            key: Idempotency-Key; None: a new one.
            dry_run: answer as if, and write nothing.
        """
        return self._door.ask(
            "thankForTransfer",
            Thanks,
            path={"transfer": transfer},
            query=dry(dry_run),
            body={} if side is None else {"side": side},
            key=key or self._door.around.new_key(),
        )

    def _post(self, body: dict[str, Any], *, key: str | None, dry_run: bool) -> Transfer:
        return self._door.ask(
            "postTransfer",
            Transfer,
            query=dry(dry_run),
            body=body,
            key=key or self._door.around.new_key(),
        )

    def _post_batch(self, commands: list[dict[str, Any]], *, dry_run: bool) -> list[Transfer | Refused]:
        """The answers in order; those that shall come again later are sent again under their own keys."""
        found: dict[int, Transfer | Refused] = {}
        left = list(range(len(commands)))
        for _ in range(ROUNDS_MAX):
            said = self._door.ask("postTransfers", _BatchAnswers, query=dry(dry_run), body=[commands[i] for i in left])
            if len(said.answers) != len(left):
                raise Unexpected(f"{len(said.answers)} answers came for {len(left)} commands.")
            later = []
            for number, answer in zip(left, said.answers, strict=True):
                if answer.transfer is not None:
                    found[number] = answer.transfer
                elif answer.status in RETRIED_STATUSES:
                    later.append(number)
                else:
                    found[number] = _refused(answer)
            left = later
            if not left:
                return [found[number] for number in range(len(commands))]
            self._door.pause()
        raise Unavailable(f"{len(left)} of {len(commands)} commands were told to come again later, each time.")


def _refused(answer: _BatchAnswer) -> Refused:
    problem = read_problem(answer.problem, status=answer.status)
    if problem is None:
        raise Unexpected(f"A command was answered {answer.status} without a problem document.")
    return refused(problem)
