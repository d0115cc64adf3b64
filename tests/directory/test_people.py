"""The erasable table: handles that cannot be confused, people who can be forgotten for good."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from timebank_directory.people import HandleInvalid, HandleTaken, People, Person, skeleton

NAME = "Gwenllian Ferch-Rhisiart"


def person(handle: str, account: str = "", *, name: str = NAME) -> Person:
    return Person(account=account or f"m-{handle}", handle=handle, kind="member", name=name)


def in_memory() -> People:
    return People("sqlite://", "aberdare")


@pytest.mark.parametrize("handle", ["llyr", "l1yr", "ilyr", "ll-yr", "l-l-y-r-"])
def test_a_handle_that_looks_like_another_is_refused(handle: str) -> None:
    """Case I-1."""
    people = in_memory()
    people.add(person("llyr"))
    with pytest.raises(HandleTaken):
        people.add(person(handle, "m-other"))


@pytest.mark.parametrize("handle", ["lyr", "llyra", "mair", "llur"])
def test_a_handle_that_looks_different_is_taken(handle: str) -> None:
    people = in_memory()
    people.add(person("llyr"))
    people.add(person(handle, "m-other"))
    assert skeleton(handle) != skeleton("llyr")


@pytest.mark.parametrize(
    "handle", ["LLYR", "Ilyr", "ll\u0443r", "llyr.", "llyr\n", "", "-llyr", "1lyr", "ll yr", "llŷr", "l" * 31]
)
def test_a_handle_of_another_form_is_invalid(handle: str) -> None:
    """Case I-1: capitals, Cyrillic, dots, line feeds."""
    with pytest.raises(HandleInvalid):
        in_memory().add(person(handle, "m-1"))


def test_two_towns_may_have_the_same_handle(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/people.db"
    for town in ("aberdare", "barry"):
        People(url, town).add(person("llyr"))


def test_of_many_who_want_one_handle_at_one_moment_one_gets_it(tmp_path: Path) -> None:
    people = People(f"sqlite:///{tmp_path}/people.db", "aberdare")

    def try_it(number: int) -> bool:
        try:
            people.add(person("llyr" if number % 2 else "l1yr", f"m-{number}"))
        except HandleTaken:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_it, range(24))) == 1
    people.close()


def test_a_page_goes_by_account_and_names_everybody_once() -> None:
    people = in_memory()
    for number in range(7):
        people.add(person(f"p{'abcdefg'[number]}", f"m-{9 - number}"))
    seen: list[str] = []
    while page := people.page(after=seen[-1] if seen else "", limit=3):
        seen += [found.account for found in page]
    assert seen == [f"m-{number}" for number in range(3, 10)]


def test_an_erased_person_is_gone_and_their_handle_free() -> None:
    people = in_memory()
    people.add(person("llyr"))
    assert people.erase("m-llyr")
    assert people.by_handle("llyr") is people.by_account("m-llyr") is None
    assert not people.erase("m-llyr")
    people.add(person("llyr", "m-new"))
    with pytest.raises(HandleTaken):
        people.add(person("other", "m-llyr"))


def test_the_bytes_of_an_erased_person_are_gone_from_the_file(tmp_path: Path) -> None:
    people = People(f"sqlite:///{tmp_path}/people.db", "aberdare", erasures=tmp_path / "erased")
    people.add(person("gwenllian"))
    people.close()
    assert NAME.encode() in (tmp_path / "people.db").read_bytes()
    people.erase("m-gwenllian")
    people.close()
    for path in tmp_path.iterdir():
        raw = path.read_bytes()
        assert NAME.encode() not in raw, path.name
        assert b'"gwenllian"' not in raw, path.name


def test_a_restored_database_forgets_again_who_was_erased(tmp_path: Path) -> None:
    """The list in the restored database does not know of the erasure either: the file does."""
    database, erased = tmp_path / "people.db", tmp_path / "erased"
    people = People(f"sqlite:///{database}", "aberdare", erasures=erased)
    people.add(person("llyr"))
    people.add(person("mair"))
    people.close()
    backup = database.read_bytes()
    people.erase("m-llyr")
    people.close()
    database.write_bytes(backup)
    restored = People(f"sqlite:///{database}", "aberdare", erasures=erased)
    assert restored.by_handle("llyr") is not None
    assert restored.apply_erasures() == 1
    assert restored.by_handle("llyr") is None
    assert restored.by_handle("mair") is not None
    assert restored.apply_erasures() == 0
    restored.close()


def test_a_line_that_a_crash_cut_off_erases_nobody(tmp_path: Path) -> None:
    erased = tmp_path / "erased"
    erased.write_bytes(b"m-llyr\n\xff\x00\nM-X\n")
    people = People("sqlite://", "aberdare", erasures=erased)
    people.add(person("llyr"))
    people.add(person("mair"))
    assert people.apply_erasures() == 1
    assert people.by_handle("mair") is not None


def test_a_change_of_consent_brings_nobody_back() -> None:
    people = in_memory()
    people.add(person("llyr"))
    assert people.change_consent("m-llyr", payable_from_other_towns=True)
    found = people.by_handle("llyr")
    assert found is not None
    assert found.payable_from_other_towns
    people.erase("m-llyr")
    assert not people.change_consent("m-llyr", payable_from_other_towns=True)
    assert people.by_account("m-llyr") is None


def test_an_error_of_the_database_repeats_nothing_personal(tmp_path: Path) -> None:
    people = People(f"sqlite:///{tmp_path}/people.db", "aberdare")
    people.close()
    (tmp_path / "people.db").write_bytes(b"no database" * 1000)
    with pytest.raises(SQLAlchemyError) as trouble:
        people.add(person("gwenllian"))
    told = f"{trouble.value!r} {trouble.value}"
    assert NAME not in told
    assert "gwenllian" not in told
