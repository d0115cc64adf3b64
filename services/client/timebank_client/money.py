"""Money beside hours: what was settled elsewhere is recorded, never posted. There is no rate between the two."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Required, TypedDict, Unpack

import msgspec

from timebank_client.answers import Money
from timebank_client.asked import as_text, dry
from timebank_client.door import Door


class NewMoney(TypedDict, total=False):
    """A record. It names a transfer or a programme. Fields as in the API's document."""

    minor_units: Required[int]
    """In the smallest coin: 1250 is £12.50. Below 0 to take back the record that `corrects` names."""
    currency: Required[str]
    kind: Required[str]
    settled_by: Required[str]
    paid_on: Required[date | str]
    transfer: str
    programme: str
    corrects: str


class _MoneyPage(msgspec.Struct, frozen=True, kw_only=True):
    records: list[Money]
    next: str | None = None


class MoneyRecords:
    """The records about what the client may see."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def record(self, *, key: str | None = None, dry_run: bool = False, **money: Unpack[NewMoney]) -> Money:
        """Record what was settled; see `NewMoney`.

        Args:
            key: Idempotency-Key; None: a new one.
            dry_run: answer as if, and write nothing.
            money: what it says.
        """
        return self._door.ask(
            "recordMoney", Money, query=dry(dry_run), body=as_text(money), key=key or self._door.around.new_key()
        )

    def list(self, *, transfer: str | None = None, programme: str | None = None) -> Iterator[Money]:
        """The records about one transfer or one programme, oldest first, page after page."""
        after: str | None = None
        while True:
            query = {"transfer": transfer, "programme": programme, "after": after}
            page = self._door.ask("listMoney", _MoneyPage, query=query)
            yield from page.records
            if page.next is None:
                return
            after = page.next
