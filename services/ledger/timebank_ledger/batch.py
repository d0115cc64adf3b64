"""The batch route's commands, decoded by msgspec: the hot path goes round pydantic, under the same bounds.

The array is taken apart first and each command decoded by itself, so one bad command spoils no other.
"""

from __future__ import annotations

from typing import Annotated, Final, cast

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from timebank_contracts import fields as f
from timebank_contracts.entries import Postings, Shares
from timebank_contracts.http import BATCH_MAX, EXPIRES_SECONDS_MAX
from timebank_contracts.moments import parse_date
from timebank_contracts.payment_address import read_payment_address
from timebank_kit.problem_answers import EdgeProblem
from timebank_kit.strict_json import strict_json
from timebank_ledger import commands as c
from timebank_ledger.asked import Asking, Single, group_command, place_of, single_command

BATCH_BYTES_MAX: Final = 1_048_576


class PayeeItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account here, an alias at a node, or both of these as a scanned address; a null is none of them."""

    account: f.AccountId | UnsetType = UNSET
    node: f.Node | UnsetType = UNSET
    alias: f.Alias | UnsetType = UNSET
    address: f.PaymentAddress | UnsetType = UNSET

    def __post_init__(self) -> None:
        unsaid = (self.account is UNSET) + (self.node is UNSET) + (self.address is UNSET)
        if unsaid != 2 or (self.node is UNSET) != (self.alias is UNSET):
            raise ValueError("A payee is an account, a node and an alias, or an address")
        if self.address is not UNSET:
            read_payment_address(self.address)

    def parts(self, network: str) -> dict[str, str | None]:
        """Account, node and alias, None where it is not said; raises `Refusal` for an address of another network."""
        if self.account is not UNSET:
            return {"account": self.account, "node": None, "alias": None}
        node, alias = self.node, self.alias
        if self.address is not UNSET:
            node, alias = place_of(self.address, network=network)
        return {"account": None, "node": str(node), "alias": str(alias)}


class BatchItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One command: a single transfer, or a group with postings."""

    key: str
    purpose: f.Purpose
    payer: f.AccountId | None = None
    payee: PayeeItem | None = None
    minutes: f.Minutes = 0
    given_minutes: f.Minutes | None = None
    expires_in_seconds: Annotated[int, Meta(ge=60, le=EXPIRES_SECONDS_MAX)] | None = None
    postings: Postings | None = None
    given: Shares | None = None
    activity: f.Activity | None = None
    served_on: f.Day | None = None
    confirmed_by: f.ConfirmedBy | None = None
    programme: f.AccountId | None = None
    reason: f.SupportReason | None = None

    def __post_init__(self) -> None:
        if self.served_on is not None:
            parse_date(self.served_on)
        single = self.payer is not None and self.payee is not None and self.minutes != 0 and self.given is None
        group = self.payer is None and self.payee is None and self.minutes == 0
        group = group and self.given_minutes is None and self.expires_in_seconds is None
        if not (single if self.postings is None else group):
            raise ValueError("A command has payer, payee and minutes; or postings, and given where it differs")


_array: Final[msgspec.json.Decoder[list[Raw]]] = msgspec.json.Decoder(Annotated[list[Raw], Meta(max_length=BATCH_MAX)])
_item: Final = msgspec.json.Decoder(BatchItem)


def split_batch(raw: bytes) -> list[Raw]:
    """The commands of a batch, each still undecoded; raises `EdgeProblem`."""
    if len(raw) > BATCH_BYTES_MAX:
        raise EdgeProblem("too_large", f"A batch has at most {BATCH_BYTES_MAX} bytes.")
    try:
        return _array.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise EdgeProblem("malformed", f"A batch is an array of 0 to {BATCH_MAX} commands: {error}.") from error


def decode_item(raw: Raw | bytes) -> BatchItem:
    """One command; raises `msgspec.ValidationError`, or `EdgeProblem` when it is not JSON."""
    try:
        # msgspec takes the last of two fields of one name: what stands twice is refused as on the single route.
        strict_json(bytes(raw))
        return _item.decode(raw)
    except msgspec.ValidationError:
        raise
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise EdgeProblem("malformed", f"A command is a JSON object: {error}.") from error


def item_command(item: BatchItem, asking: Asking) -> c.Command:
    """The ledger's command for an item, the same as the single route makes; raises `Refusal` or `Forbidden`."""
    if item.postings is not None:
        return group_command(item, tuple(item.postings), item.given, asking)
    assert item.payer is not None
    assert item.payee is not None
    single = cast(Single, item)  # whose payer is not None
    return single_command(single, asking, **item.payee.parts(asking.network))
