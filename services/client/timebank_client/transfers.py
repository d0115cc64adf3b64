"""Transfers: hours given from one account to another, to several, or to somebody in another town.

    post ─▶ Transfer (posted, or sent to another town)          dry_run=True: the same answer, nothing written
    post_many ─▶ for each, in order: Transfer or Refused        what was asked to come again later is sent again

A command's Idempotency-Key is made before its first try; give your own (an order's number, say) and a crash of yours is
covered too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Required, TypedDict, Unpack

import msgspec

from timebank_client.answers import Payee, Transfer, payee_body
from timebank_client.door import Door, as_text, dry
from timebank_client.errors import Refused, Unavailable, Unexpected, read_problem, refused
from timebank_client.retries import RETRIED_STATUSES

BATCH_MAX: Final = 1_000
BATCH_BYTES_MAX: Final = 900_000
"""The town takes a megabyte."""
ROUNDS_MAX: Final = 5
"""How often those of a batch are sent again that were told to come later."""
Shares = Sequence[tuple[str, int]]


class _Said(TypedDict, total=False):
    purpose: Required[str]
    """service, gift, pot, support, grant or correction."""
    activity: str
    """What was done; a service names it."""
    served_on: date | str
    """The day of the service; a service names it."""
    confirmed_by: str
    programme: str
    reason: str


class NewTransfer(_Said, total=False):
    """Minutes from one account to another. Fields as in the API's document."""

    payer: Required[str]
    payee: Required[str | Payee]
    """An account of this town, or what `payees.resolve` answered."""
    minutes: Required[int]
    given_minutes: int
    """Time given, where it differs from the minutes paid."""
    expires_in_seconds: int
    """Only to another town: until when it may take the transfer."""


class NewGroup(_Said, total=False):
    """One act of several accounts: the minutes sum to 0."""

    postings: Required[Shares]
    """[account, minutes]: below 0 paid, above 0 credited."""
    given: Shares
    """[account, minutes] of time given."""


class NewSession(_Said, total=False):
    """A group session: attendees pay for their own time, leaders earn theirs, the pot takes or bears the difference."""

    leaders: Required[Shares]
    """[account, minutes] of time given."""
    attendees: Shares
    """[account, minutes] of those who pay for their own time."""
    sharing: Sequence[str]
    """Accounts that share a cost, split to the minute in order of id."""
    shared_minutes: int
    """What they share."""


SESSION_FIELDS: Final = ("leaders", "attendees", "sharing", "shared_minutes")


@dataclass(frozen=True, slots=True)
class Keyed:
    """A command of a batch with a key of the caller's own."""

    key: str
    transfer: NewTransfer | NewGroup


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

    def post_many(self, transfers: Iterable[NewTransfer | NewGroup | Keyed]) -> Iterator[Transfer | Refused]:
        """Post many, each by itself: one that is refused spoils no other.

        Args:
            transfers: any number; they are read and sent by up to 1,000 at a time, as the answers are taken.

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
                yield from self._post_batch(batch)
                batch, size = [], 0
            batch.append(command)
            size += length
        if batch:
            yield from self._post_batch(batch)

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

    def _post(self, body: dict[str, Any], *, key: str | None, dry_run: bool) -> Transfer:
        return self._door.ask(
            "postTransfer",
            Transfer,
            query=dry(dry_run),
            body=body,
            key=key or self._door.around.new_key(),
        )

    def _post_batch(self, commands: list[dict[str, Any]]) -> list[Transfer | Refused]:
        """The answers in order; those that shall come again later are sent again under their own keys."""
        found: dict[int, Transfer | Refused] = {}
        left = list(range(len(commands)))
        for _ in range(ROUNDS_MAX):
            said = self._door.ask("postTransfers", _BatchAnswers, body=[commands[i] for i in left])
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


def body_of(said: NewTransfer | NewGroup) -> dict[str, Any]:
    """What is sent: dates as text, a payee in the API's form."""
    body = as_text(said)
    if "payee" in body:
        body["payee"] = payee_body(body["payee"])
    return body


def _refused(answer: _BatchAnswer) -> Refused:
    problem = read_problem(answer.problem, status=answer.status)
    if problem is None:
        raise Unexpected(f"A command was answered {answer.status} without a problem document.")
    return refused(problem)
