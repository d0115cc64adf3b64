"""The timer: what the town's rules do by themselves, as commands to the one writer, which orders them among people's.

Claims whose time is over expire; claims of an agreed booking are confirmed, where the town's policy says so; accounts
of leavers close. What the rules would refuse is not tried again and again: it is left to the people.
Source: design page 3, "Claim", "Closing an account"; PROTOCOL.md D4, D6, L10.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Final

from timebank_contracts.amounts import MINUTES_MAX
from timebank_contracts.entries import Actor
from timebank_contracts.errors import Refusal
from timebank_contracts.moments import show_time
from timebank_contracts.rules_claims import is_expired, rule_confirms
from timebank_contracts.rules_claims_between import is_sent_claim_expired
from timebank_contracts.rules_closing import is_due
from timebank_contracts.state import Account, Book, Claim
from timebank_kit.commit_loop import Doubt, QueueFull, Stopped
from timebank_ledger import commands as c
from timebank_ledger.writer import Writer

_log = logging.getLogger(__name__)
RULE: Final = Actor(kind="rule")
EVERY_SECONDS: Final = 60.0
COMMANDS_MAX: Final = 256
"""Commands of one round: what is due beyond them is the next round's."""


def due_commands(book: Book, time: str) -> Iterator[c.Command]:
    """What the rules do at `time` (wire form); reads the book while it is consumed."""
    for name, claim in book.claims.items():
        if is_expired(book, claim, time):
            yield c.EndClaim(by=RULE, claim=name, how="expired")
        elif rule_confirms(book, claim, time) and _can_pay(book, claim):
            yield c.ConfirmClaim(by=RULE, claim=name, confirmed_by="rule")
    for name, sent in book.sent_claims.items():
        if is_sent_claim_expired(sent, time):
            yield c.EndClaim(by=RULE, claim=name, how="expired")
    gone = {name for name, peer in book.peers.items() if peer.state == "closed" and peer.has_ended}
    for transfer, under_way in book.open_transfers.items() if gone else ():
        if under_way.peer in gone:
            yield c.ReturnTransfer(by=RULE, transfer=transfer)
    for account in book.accounts.values():
        if account.state == "closing" and is_due(book, account, time):
            if account.balance == 0:
                yield c.SetAccountState(by=RULE, account=account.account, state="closed")
            elif _pot_takes(book.accounts.get("pot"), account.balance):
                yield c.CloseAccount(by=RULE, account=account.account, taker="pot")


def _can_pay(book: Book, claim: Claim) -> bool:
    receiver, giver = book.accounts[claim.receiver], book.accounts[claim.giver]
    pays = receiver.state == "open" and receiver.balance - claim.minutes >= receiver.floor
    if claim.programme and book.accounts[claim.programme].state == "closed":
        return False
    return pays and giver.state != "closed" and giver.balance + giver.in_transit + claim.minutes <= giver.ceiling


def _pot_takes(pot: Account | None, minutes: int) -> bool:
    """Whether the rules let the pot take a remainder, or bear one below 0: what they refuse is not tried."""
    if pot is None or abs(minutes) > MINUTES_MAX:
        return False
    if minutes > 0:
        return pot.balance + pot.in_transit + minutes <= pot.ceiling
    return pot.balance + minutes >= pot.floor


class Timer:
    """Asks once a minute what is due, and hands it to the writer.

    Args:
        writer: takes the commands.
        now: the present moment.
        every_seconds: between two rounds.
    """

    def __init__(self, writer: Writer, now: Callable[[], datetime], *, every_seconds: float = EVERY_SECONDS) -> None:
        self._writer = writer
        self._now = now
        self._every_seconds = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-timer", daemon=True)

    def start(self) -> None:
        """Begin the rounds."""
        self._thread.start()

    def close(self) -> None:
        """End the rounds; returns when none is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def round(self) -> int:
        """Do what is due now; returns how many commands were written."""
        try:
            with self._writer.reading() as book:
                commands = list(islice(due_commands(book, show_time(self._now())), COMMANDS_MAX))
            answers = self._writer.submit_many(commands).result() if commands else []
        except (Stopped, QueueFull, Doubt) as trouble:
            _log.warning("the rules wait for the writer", extra={"reason": str(trouble)})
            return 0
        for answer in answers:
            # People may have been quicker: then the rule has nothing more to do.
            if isinstance(answer, Exception) and not isinstance(answer, Refusal):
                raise answer
        return sum(not isinstance(answer, Exception) for answer in answers)

    def _run(self) -> None:
        while not self._stop.wait(self._every_seconds):
            try:
                self.round()
            except Exception:
                # A bug here must not end the rounds for ever without a word.
                _log.exception("the timer's round failed")
