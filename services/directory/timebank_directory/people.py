"""People: the one erasable table. Handle, name and wishes of each member and organisation, as versioned JSON.

Nothing personal is written anywhere else: a journal knows the opaque account id only. Erasing deletes the document and
leaves the account id on the erasure list, which is applied again after every restore of this table.
Source: design page 4, "Personal data".
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.pool import StaticPool

from timebank_contracts.names import HANDLE_PATTERN

DOCUMENT_VERSION: Final = 1
PEOPLE_PAGE_MAX: Final = 500
_HANDLE = re.compile(HANDLE_PATTERN)
_LOOK_ALIKES = str.maketrans({"1": "l", "i": "l", "0": "o", "5": "s", "-": ""})

_metadata = MetaData()
_people = Table(
    "directory_people",
    _metadata,
    Column("town", String(40), primary_key=True),
    Column("account", String(64), primary_key=True),
    Column("handle", String(30), nullable=False),
    Column("skeleton", String(30), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
_erased = Table(
    "directory_erased",
    _metadata,
    Column("town", String(40), primary_key=True),
    Column("account", String(64), primary_key=True),
)


class HandleTaken(Exception):
    """The handle, or one that looks like it, is in use in this town; choose another."""


class HandleInvalid(Exception):
    """A handle is 1 to 30 of a-z, 0-9 and -, beginning with a letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A member or an organisation as the directory knows them."""

    account: str
    handle: str
    kind: str
    """member or organisation."""
    name: str
    language: str = "en"
    payable_from_other_towns: bool = False
    """Consent that the handle may be resolved for other towns' nodes."""


def skeleton(handle: str) -> str:
    """What a handle looks like: two handles with one skeleton cannot be told apart on a screen."""
    return handle.translate(_LOOK_ALIKES)


class People:
    """The people of one town.

    Args:
        url: SQLAlchemy URL; `sqlite://` keeps them in memory.
        town: the node's slug.
    """

    def __init__(self, url: str, town: str) -> None:
        self._town = town
        in_memory = url == "sqlite://"
        options: dict[str, Any] = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        self._engine: Engine = create_engine(url, **options) if in_memory else create_engine(url, pool_size=4)
        _metadata.create_all(self._engine)

    def add(self, person: Person) -> None:
        """Keep a new person. Raises `HandleInvalid`, `HandleTaken`; an erased account never comes back."""
        if not _HANDLE.fullmatch(person.handle):
            raise HandleInvalid(str(HandleInvalid.__doc__))
        with self._engine.begin() as db:
            erased = db.execute(select(_erased.c.account).where(*self._is(_erased, person.account))).first()
            same = select(_people.c.account).where(
                _people.c.town == self._town, _people.c.skeleton == skeleton(person.handle)
            )
            if erased is not None or db.execute(same).first() is not None:
                raise HandleTaken(str(HandleTaken.__doc__))
            try:
                db.execute(insert(_people).values(self._row(person)))
            except IntegrityError as error:
                raise HandleTaken("This account has a person already.") from error

    def by_handle(self, handle: str) -> Person | None:
        """The person of this handle, or None."""
        with self._engine.connect() as db:
            found = select(_people).where(_people.c.town == self._town, _people.c.handle == handle)
            return _person(db.execute(found).first())

    def by_account(self, account: str) -> Person | None:
        """The person of this account, or None (also when they were erased)."""
        with self._engine.connect() as db:
            return _person(db.execute(select(_people).where(*self._is(_people, account))).first())

    def change_consent(self, account: str, *, payable_from_other_towns: bool) -> bool:
        """Set the consent; False when there is no such person."""
        person = self.by_account(account)
        if person is None:
            return False
        row = self._row(replace(person, payable_from_other_towns=payable_from_other_towns))
        with self._engine.begin() as db:
            db.execute(update(_people).where(*self._is(_people, account)).values(row))
        return True

    def page(self, *, after: str, limit: int) -> list[Person]:
        """Up to `limit` (at most 500) people in order of handle, after a handle (empty: from the first)."""
        chosen = select(_people).where(_people.c.town == self._town, _people.c.handle > after)
        with self._engine.connect() as db:
            rows = db.execute(chosen.order_by(_people.c.handle).limit(min(limit, PEOPLE_PAGE_MAX))).all()
        return [person for row in rows if (person := _person(row)) is not None]

    def erase(self, account: str) -> bool:
        """Delete everything personal of an account, for good; False when there was nothing."""
        with self._engine.begin() as db:
            gone = db.execute(delete(_people).where(*self._is(_people, account))).rowcount
            if gone:
                db.execute(insert(_erased).values(town=self._town, account=account))
        return bool(gone)

    def apply_erasures(self) -> int:
        """Delete again whoever is on the erasure list: called at every start, so a restored table forgets them too."""
        listed = select(_erased.c.account).where(_erased.c.town == self._town)
        with self._engine.begin() as db:
            gone = delete(_people).where(_people.c.town == self._town, _people.c.account.in_(listed))
            return db.execute(gone).rowcount

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    def _row(self, person: Person) -> dict[str, Any]:
        return {
            "town": self._town,
            "account": person.account,
            "handle": person.handle,
            "skeleton": skeleton(person.handle),
            "version": DOCUMENT_VERSION,
            "document": msgspec.json.encode(asdict(person)),
        }

    def _is(self, table: Table, account: str) -> tuple[Any, Any]:
        return table.c.town == self._town, table.c.account == account


def _person(row: Any) -> Person | None:
    return None if row is None else msgspec.json.decode(row.document, type=Person)
