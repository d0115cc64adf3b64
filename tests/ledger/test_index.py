"""The index: dropped and rebuilt at will, the same whichever way it was advanced; statements always add up."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.ledger.town_api import Town, gift, open_town
from timebank_kit.journal import open_journal
from timebank_ledger.follower import Follower, take_turn
from timebank_ledger.index import CHUNK_ENTRIES, Index, IndexTrouble
from timebank_ledger.index_store import index_url


def _exchange(town: Town, count: int) -> None:
    pairs = [("alys", "bryn"), ("bryn", "library"), ("library", "alys")]
    commands = [gift(*pairs[n % 3], n % 7 + 1) | {"key": f"k{n}"} for n in range(count)]
    for at in range(0, count, 1_000):
        answer = town.operator().post("/v1/transfers/batch", commands[at : at + 1_000], key=None)
        assert {one["status"] for one in answer.json()["answers"]} == {201}


def _content(index: Index) -> list[object]:
    accounts = ("alys", "bryn", "library", "pot")
    return [index.lines(account, start=0, stop=10_000, limit=10_000) for account in accounts]


def test_an_index_advanced_in_steps_is_the_same_as_one_advanced_at_once(town: Town) -> None:
    _exchange(town, 30)
    steps, once = Index("sqlite://", town.journal, name="steps"), Index("sqlite://", town.journal, name="once")
    for length in (0, 1, 7, 7, 20, 36):
        steps.advance_to(length)
    once.advance_to(36)
    assert _content(steps) == _content(once)
    steps.close()
    once.close()


def test_an_index_advances_in_bounded_chunks(town: Town) -> None:
    _exchange(town, CHUNK_ENTRIES + 100)
    index = Index("sqlite://", town.journal, name="test")
    length = town.writer.tail.length
    assert index.advance_chunk(length) == CHUNK_ENTRIES
    assert index.advance_chunk(length) == length - CHUNK_ENTRIES
    assert index.advance_chunk(length) == 0
    index.close()


def test_an_index_goes_on_where_it_was_closed(tmp_path: Path, town: Town) -> None:
    url = f"sqlite:///{tmp_path}/index.db"
    first = Index(url, town.journal, name="test")
    first.advance_to(town.writer.tail.length)
    first.close()
    _exchange(town, 10)
    second = Index(url, town.journal, name="test")
    assert second.position == 6
    second.advance_to(16)
    assert len(second.lines("alys", start=0, stop=16, limit=99)) == 7
    second.close()


@pytest.mark.parametrize(
    "damage",
    ["UPDATE index_test_meta SET version = 0", "DELETE FROM index_test_meta", "DROP TABLE index_test_outs"],
)
def test_an_index_of_another_version_is_rebuilt(tmp_path: Path, town: Town, damage: str) -> None:
    url = f"sqlite:///{tmp_path}/index.db"
    _exchange(town, 10)
    first = Index(url, town.journal, name="test")
    first.advance_to(16)
    content = _content(first)
    first.close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(damage)
    engine.dispose()
    second = Index(url, town.journal, name="test")
    assert second.position == 0
    second.advance_to(16)
    assert _content(second) == content
    second.close()


@pytest.mark.parametrize("page", [0, 1, 8])
def test_a_damaged_index_is_made_anew_when_the_damage_is_met(tmp_path: Path, town: Town, page: int) -> None:
    path = tmp_path / "index.db"
    _exchange(town, 1_000)
    first = Index(f"sqlite:///{path}", town.journal, name="test")
    first.advance_to(1_006)
    content = _content(first)
    first.close()
    raw = path.read_bytes()
    at = page * 4_096
    path.write_bytes(raw[:at] + bytes(range(256)) * ((len(raw) - at) // 256))
    second = Index(f"sqlite:///{path}", town.journal, name="test")
    second.advance_to(1_006)
    assert _content(second) == content
    assert second.position == 1_006
    second.close()


def test_an_index_that_cannot_be_opened_says_what_to_do(tmp_path: Path, town: Town) -> None:
    with pytest.raises(IndexTrouble, match=r"Check its path and rights, or delete it"):
        Index(f"sqlite:///{tmp_path}", town.journal, name="test")


def test_an_index_of_another_journal_is_rebuilt(tmp_path: Path, town: Town) -> None:
    url = f"sqlite:///{tmp_path}/index.db"
    first = Index(url, town.journal, name="test")
    first.advance_to(6)
    first.close()
    other = Index(url, open_journal("memory:", "other"), name="test")
    assert other.position == 0
    other.close()


def test_two_journals_share_a_database_without_meeting(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/index.db"
    with open_town("aberdare", 1) as one, open_town("barry", 2) as two:
        _exchange(one, 3)
        first, second = Index(url, one.journal, name="one"), Index(url, two.journal, name="two")
        first.advance_to(9)
        second.advance_to(6)
        assert len(first.lines("alys", start=0, stop=9, limit=9)) == 2
        assert second.lines("alys", start=0, stop=9, limit=9) == []
        first.close()
        second.close()


def test_the_index_lies_beside_a_sqlite_journal_and_inside_a_postgresql_database() -> None:
    assert index_url("memory:") == "sqlite://"
    assert index_url("sqlite:/var/town/journal.db") == "sqlite:////var/town/journal.db-index"
    assert index_url("postgresql://u@h/town") == "postgresql+psycopg://u@h/town"


def test_a_follower_catches_up_at_rest_and_takes_one_chunk_under_load(town: Town) -> None:
    _exchange(town, 2 * CHUNK_ENTRIES + 100)
    index, length = Index("sqlite://", town.journal, name="test"), town.writer.tail.length
    take_turn(index, town.writer.tail, length - 1)
    assert index.position == CHUNK_ENTRIES
    take_turn(index, town.writer.tail, length)
    assert index.position == length
    index.close()


def test_a_follower_ends_when_told(town: Town) -> None:
    index = Index("sqlite://", town.journal, name="test")
    Follower(index, town.writer.tail).close()
    assert "ledger-index" not in {thread.name for thread in threading.enumerate()}
    index.close()


@pytest.mark.servers
def test_the_index_is_the_same_on_postgresql(postgres_dsn: str, town: Town) -> None:
    _exchange(town, 30)
    index = Index(index_url(postgres_dsn), town.journal, name="test")
    index.advance_to(20)
    index.close()
    index = Index(index_url(postgres_dsn), town.journal, name="test")
    assert index.position == 20
    index.advance_to(36)
    town.index.advance_to(36)
    assert _content(index) == _content(town.index)
    assert index.balance_before("bryn", 20) == town.index.balance_before("bryn", 20)
    index.close()
