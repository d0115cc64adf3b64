"""Claims: "I gave you so many minutes". They move nothing until the receiver's side confirms.

make ─▶ open ─┬─ confirm ─▶ confirmed: the answer is the Transfer
              ├─ dispute ─▶ disputed: a broker upholds it, or its maker withdraws it
              ├─ withdraw ─▶ withdrawn
              └─ nothing for too long ─▶ expired
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Required, TypedDict, Unpack

import msgspec

from timebank_client.answers import Claim, Transfer
from timebank_client.asked import as_text, dry
from timebank_client.door import Door
from timebank_client.sending import Answer


class NewClaim(TypedDict, total=False):
    """What a claim says. Fields as in the API's document."""

    giver: Required[str]
    """Who gave the help, and is to be credited: an account that the client was granted."""
    receiver: Required[str | dict[str, str]]
    """An account, or {"node": …, "alias": …} of somebody in another town."""
    minutes: Required[int]
    activity: Required[str]
    served_on: Required[date | str]
    given_minutes: int
    programme: str
    agreed_minutes: int


class _ClaimPage(msgspec.Struct, frozen=True, kw_only=True):
    claims: list[Claim]
    next: str | None = None


class Claims:
    """The claims that the client may see."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def make(self, *, key: str | None = None, dry_run: bool = False, **claim: Unpack[NewClaim]) -> Claim:
        """Say that help was given; see `NewClaim`.

        Args:
            key: Idempotency-Key; None: a new one.
            dry_run: answer as if, and write nothing.
            claim: what it says.
        """
        return self._door.ask(
            "makeClaim", Claim, query=dry(dry_run), body=as_text(claim), key=key or self._door.around.new_key()
        )

    def list(self, *, account: str | None = None, disputed: bool | None = None) -> Iterator[Claim]:
        """Those that are open or disputed, oldest first, page after page.

        Args:
            account: only those that name it.
            disputed: only those that are, or are not.
        """
        query: dict[str, Any] = {"account": account}
        if disputed is not None:
            query["disputed"] = "true" if disputed else "false"
        after: str | None = None
        while True:
            page = self._door.ask("listClaims", _ClaimPage, query=query | {"after": after})
            yield from page.claims
            if page.next is None:
                return
            after = page.next

    def get(self, claim: str) -> Claim:
        """A claim as it stands now; raises `NotFound`."""
        return self._door.ask("getClaim", Claim, path={"claim": claim})

    def confirm(
        self,
        claim: str,
        *,
        minutes: int | None = None,
        confirmed_by: str | None = None,
        key: str | None = None,
        dry_run: bool = False,
    ) -> Transfer:
        """Confirm for the receiver, who pays with it: the confirmation is the transfer.

        Args:
            claim: its id.
            minutes: fewer, or more within the town's tolerance; None: as claimed.
            confirmed_by: receiver, broker, delegate; None: by who the client is.
            key: Idempotency-Key; None: a new one.
            dry_run: answer as if, and write nothing.
        """
        said = {"minutes": minutes, "confirmed_by": confirmed_by}
        body = {name: value for name, value in said.items() if value is not None}
        return self._act("confirmClaim", Transfer, claim, body, key=key, dry_run=dry_run)

    def dispute(self, claim: str, *, reason: str, key: str | None = None, dry_run: bool = False) -> Claim:
        """Say for the receiver that it is wrong; a broker decides. `reason`: see the API's document."""
        return self._act("disputeClaim", Claim, claim, {"reason": reason}, key=key, dry_run=dry_run)

    def withdraw(self, claim: str, *, key: str | None = None, dry_run: bool = False) -> Claim:
        """Take it back for the giver. Args: see `confirm`."""
        return self._act("withdrawClaim", Claim, claim, None, key=key, dry_run=dry_run)

    def uphold(self, claim: str, *, key: str | None = None, dry_run: bool = False) -> Claim:
        """Decide a dispute for the claim (a broker's; needs scope `operate` too). Args: see `confirm`."""
        return self._act("upholdClaim", Claim, claim, None, key=key, dry_run=dry_run)

    def _act(
        self,
        operation: str,
        into: type[Answer],
        claim: str,
        body: dict[str, Any] | None,
        *,
        key: str | None,
        dry_run: bool,
    ) -> Answer:
        return self._door.ask(
            operation,
            into,
            path={"claim": claim},
            query=dry(dry_run),
            body=body,
            key=key or self._door.around.new_key(),
        )
