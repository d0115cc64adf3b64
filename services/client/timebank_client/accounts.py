"""Accounts and what they add up to: balances, statements, the trial balance; and whom one can pay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import msgspec

from timebank_client.answers import (
    Account,
    Alias,
    Balance,
    Payee,
    Policy,
    StatementLine,
    StatementPage,
    TrialBalance,
)
from timebank_client.asked import dry
from timebank_client.door import Door


class _AccountPage(msgspec.Struct, frozen=True, kw_only=True):
    accounts: list[Account]
    next: str | None = None


class _Aliases(msgspec.Struct, frozen=True, kw_only=True):
    aliases: list[Alias]


class _State(msgspec.Struct, frozen=True, kw_only=True):
    state: str


class Accounts:
    """The accounts that the client was granted."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def list(self) -> Iterator[Account]:
        """All of them, page after page."""
        after: str | None = None
        while True:
            page = self._door.ask("listAccounts", _AccountPage, query={"after": after})
            yield from page.accounts
            if page.next is None or page.next == after:
                return
            after = page.next

    def get(self, account: str) -> Account:
        """One account; raises `NotFound`, `Forbidden`."""
        return self._door.ask("getAccount", Account, path={"account": account})

    def balance(self, account: str, *, position: int | None = None, on: date | str | None = None) -> Balance:
        """The balance as it was.

        Args:
            account: its id.
            position: so many entries count; None: all.
            on: instead, at the end of this day in the town's time zone.
        """
        query = {"position": position, "date": None if on is None else str(on)}
        return self._door.ask("getBalance", Balance, path={"account": account}, query=query)

    def statement_pages(
        self,
        account: str,
        *,
        first_day: date | str | None = None,
        last_day: date | str | None = None,
        from_position: int | None = None,
        to_position: int | None = None,
    ) -> Iterator[StatementPage]:
        """The statement page by page: each one adds up by itself, and each begins with the last one's closing.

        Args:
            account: its id.
            first_day: in the town's time zone.
            last_day: included.
            from_position: instead of days: the first journal position.
            to_position: the first position behind it.
        """
        query = {
            "from": None if first_day is None else str(first_day),
            "to": None if last_day is None else str(last_day),
            "from_position": from_position,
            "to_position": to_position,
        }
        while True:
            page = self._door.ask("getStatement", StatementPage, path={"account": account}, query=query)
            yield page
            if not page.more or page.next is None:
                return
            query = {"cursor": page.next}

    def statement(
        self,
        account: str,
        *,
        first_day: date | str | None = None,
        last_day: date | str | None = None,
        from_position: int | None = None,
        to_position: int | None = None,
    ) -> Iterator[StatementLine]:
        """The lines of the statement alone. Args: see `statement_pages`."""
        for page in self.statement_pages(
            account, first_day=first_day, last_day=last_day, from_position=from_position, to_position=to_position
        ):
            yield from page.lines

    def trial_balance(self) -> TrialBalance:
        """All accounts of the town by kind (needs scope `reports:read`)."""
        return self._door.ask("getTrialBalance", TrialBalance)

    def issue_alias(self, account: str, *, audience: str | None = None, key: str | None = None) -> Alias:
        """A receiving address that other towns can pay to.

        Args:
            account: whose it is; never told to who pays.
            audience: the one town that may use it; None: anybody who has it.
            key: Idempotency-Key; None: a new one.
        """
        return self._door.ask(
            "issueAlias",
            Alias,
            path={"account": account},
            body={} if audience is None else {"audience": audience},
            key=key or self._door.around.new_key(),
        )

    def aliases(self, account: str) -> Sequence[Alias]:
        """The receiving addresses of an account that were not taken back."""
        return self._door.ask("listAliases", _Aliases, path={"account": account}).aliases

    def alias(self, alias: str) -> Alias:
        """A receiving address; raises `NotFound` when it was taken back (`alias_unknown`)."""
        return self._door.ask("getAlias", Alias, path={"alias": alias})

    def payment_code(self, alias: str) -> bytes:
        """The QR code of a receiving address that is for anybody, as SVG, for a screen or for paper.

        Raises:
            NotFound: it was taken back (`alias_unknown`).
            Refused: it is for one town (`alias_for_one_town`).
        """
        return self._door.ask("getPaymentCode", bytes, path={"alias": alias})

    def revoke_alias(self, alias: str, *, key: str | None = None) -> None:
        """Let a receiving address be used no more. `key`: Idempotency-Key; None: a new one."""
        self._door.ask("revokeAlias", type(None), path={"alias": alias}, key=key or self._door.around.new_key())

    def begin_closing(self, account: str, *, key: str | None = None, dry_run: bool = False) -> str:
        """Let a member leave: what is left of the account goes to the pot when the town's days are over.

        Args:
            account: its id.
            key: Idempotency-Key; None: a new one.
            dry_run: answer as if, and write nothing.

        Returns:
            The account's state, `closing`.
        """
        said = self._door.ask(
            "beginClosing",
            _State,
            path={"account": account},
            query=dry(dry_run),
            key=key or self._door.around.new_key(),
        )
        return said.state

    def policy(self) -> Policy:
        """The town's rules for floors, ceilings and claims."""
        return self._door.ask("getPolicy", Policy)


class Payees:
    """Whom one can pay, by handle."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def resolve(self, handle: str, *, node: str) -> Payee:
        """Who is behind a handle: an account of this town, or a receiving address in another.

        Args:
            handle: as the person gave it.
            node: the town's short name.

        Raises:
            NotFound: nobody of this handle can be paid from here (`payee_unknown`).
        """
        return self._door.ask("resolvePayee", Payee, body={"handle": handle, "node": node})
