"""People: the one erasable table. Handle, name and wishes of each member and organisation, as versioned JSON.

Nothing personal is written anywhere else: a journal knows the opaque account id only. Erasing deletes the document and
leaves the account id on the erasure list: in the database, and in a file beside it that no backup of the database turns
back. The list is applied again at every start.
Source: design page 4, "Personal data".
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from timebank_contracts.names import ACCOUNT_PATTERN, HANDLE_PATTERN
from timebank_directory.database import open_engine

DOCUMENT_VERSION: Final = 1
PEOPLE_PAGE_MAX: Final = 500
_ACCOUNT = re.compile(ACCOUNT_PATTERN)
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
    # Two requests at one moment must not both find the handle free.
    UniqueConstraint("town", "skeleton", name="directory_people_skeleton"),
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
        erasures: file of the erased accounts, one a line, kept apart from the database; None: in the database only.
    """

    def __init__(self, url: str, town: str, *, erasures: Path | None = None) -> None:
        self._town = town
        self._erasures = erasures
        self._engine = open_engine(url)
        _metadata.create_all(self._engine)

    def check_free(self, handle: str) -> None:
        """Raise `HandleInvalid`, or `HandleTaken` when this handle or one that looks like it is in use."""
        if not _HANDLE.fullmatch(handle):
            raise HandleInvalid(str(HandleInvalid.__doc__))
        same = select(_people.c.account).where(_people.c.town == self._town, _people.c.skeleton == skeleton(handle))
        with self._engine.connect() as db:
            if db.execute(same).first() is not None:
                raise HandleTaken(str(HandleTaken.__doc__))

    def add(self, person: Person) -> None:
        """Keep a new person. Raises `HandleInvalid`, `HandleTaken`; an erased account never comes back."""
        self.check_free(person.handle)
        with self._engine.connect() as db:
            if db.execute(select(_erased.c.account).where(*self._is(_erased, person.account))).first() is not None:
                raise HandleTaken("The person of this account was erased, and never comes back.")
        try:
            with self._engine.begin() as db:
                db.execute(insert(_people).values(self._row(person)))
        except IntegrityError as error:
            raise HandleTaken(str(HandleTaken.__doc__)) from error

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
            return bool(db.execute(update(_people).where(*self._is(_people, account)).values(row)).rowcount)

    def page(self, *, after: str, limit: int) -> list[Person]:
        """Up to `limit` (at most 500) people in order of account, after an account (empty: from the first)."""
        chosen = select(_people).where(_people.c.town == self._town, _people.c.account > after)
        with self._engine.connect() as db:
            rows = db.execute(chosen.order_by(_people.c.account).limit(min(limit, PEOPLE_PAGE_MAX))).all()
        return [person for row in rows if (person := _person(row)) is not None]

    def erase(self, account: str) -> bool:
        """Delete everything personal of an account, for good; False when there was nothing."""
        if self.by_account(account) is None:
            return False
        # Listed first: a crash in between erases at the next start.
        self._list(account)
        with self._engine.begin() as db:
            gone = db.execute(delete(_people).where(*self._is(_people, account))).rowcount
            if gone:
                db.execute(insert(_erased).values(town=self._town, account=account))
        return bool(gone)

    def apply_erasures(self) -> int:
        """Delete again whoever is on the erasure list: called at every start, so a restored table forgets them too.

        Returns:
            How many were there again.
        """
        in_table = select(_erased.c.account).where(_erased.c.town == self._town)
        with self._engine.begin() as db:
            known = set(db.execute(in_table).scalars())
            missing = [account for account in self._listed() if account not in known]
            if missing:
                db.execute(insert(_erased), [{"town": self._town, "account": account} for account in missing])
            gone = delete(_people).where(_people.c.town == self._town, _people.c.account.in_(in_table))
            return db.execute(gone).rowcount

    def _list(self, account: str) -> None:
        """Put an account on the list in the file; durable on return."""
        if self._erasures is not None:
            with self._erasures.open("a", encoding="ascii") as file:
                file.write(f"{account}\n")
                file.flush()
                os.fsync(file.fileno())

    def _listed(self) -> list[str]:
        """The accounts in the file, each once; a line that a crash cut off is none."""
        if self._erasures is None or not self._erasures.exists():
            return []
        lines = self._erasures.read_text("ascii", errors="replace").splitlines()
        return list(dict.fromkeys(line for line in lines if _ACCOUNT.fullmatch(line)))

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
