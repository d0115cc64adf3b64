"""The checker finds what it is there for: each planted violation is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.check import TownJournal, check
from tests.chaos.history import Attempt, History, Outcome, amount_to, read_history

FIRST, SECOND = "aberdare.g1.barry.1", "aberdare.g1.barry.2"


def attempt(key: str, outcome: Outcome, said: str) -> Attempt:
    """One of Aberdare's."""
    return Attempt(town="aberdare", peer="barry", key=key, outcome=outcome, said=said)


def journals() -> dict[str, TownJournal]:
    """Aberdare sent two transfers to Barry: one settled, one came back."""
    aberdare = TownJournal(sent={FIRST: "one", SECOND: "two"}, keys=["one", "two"])
    aberdare.ended.update({FIRST: ["settled"], SECOND: ["returned"]})
    barry = TownJournal()
    barry.decided.update({FIRST: ["received"], SECOND: ["rejected"]})
    return {"aberdare": aberdare, "barry": barry}


def history() -> list[Attempt]:
    """The first was acknowledged at the second attempt, the second never; the third was refused."""
    return [
        attempt("one", "unknown", "ReadTimeout"),
        attempt("one", "ok", FIRST),
        attempt("two", "unknown", "ReadError"),
        attempt("three", "fail", "floor"),
        attempt("four", "unknown", "ReadError"),
    ]


def test_what_clients_saw_and_journals_hold_agrees() -> None:
    assert check(history(), journals()) == []


def _lost(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    del towns["aberdare"].sent[FIRST]


def _refused(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    towns["aberdare"].sent["aberdare.g1.barry.3"] = "three"
    towns["aberdare"].ended["aberdare.g1.barry.3"] = ["settled"]
    towns["barry"].decided["aberdare.g1.barry.3"] = ["received"]


def _twice(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    _refused(seen, towns)
    towns["aberdare"].sent["aberdare.g1.barry.3"] = "two"


def _two_answers(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    seen.append(attempt("one", "ok", SECOND))


def _by_nobody(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    seen[:] = [each for each in seen if each.key != "two"]


def _open(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    del towns["aberdare"].ended[FIRST]


def _ended_twice(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    towns["aberdare"].ended[FIRST] = ["settled", "returned"]


def _differ(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    towns["barry"].decided[FIRST] = ["rejected"]


def _decided_twice(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    towns["barry"].decided[FIRST] = ["received", "received"]


def _same_key(seen: list[Attempt], towns: dict[str, TownJournal]) -> None:
    towns["aberdare"].keys.append("one")


PLANTED = {
    "acknowledged and lost": _lost,
    "refused and written": _refused,
    "written twice": _twice,
    "one key, two answers": _two_answers,
    "written and asked by nobody": _by_nobody,
    "not ended once": _open,
    "not ended once: and again": _ended_twice,
    "two towns differ": _differ,
    "two towns differ: and again": _decided_twice,
    "a key has two entries": _same_key,
}


@pytest.mark.parametrize(("kind", "plant"), PLANTED.items(), ids=list(PLANTED))
def test_a_planted_violation_is_named(
    kind: str, plant: Callable[[list[Attempt], dict[str, TownJournal]], None]
) -> None:
    seen, towns = history(), journals()
    plant(seen, towns)
    assert any(violation.startswith(kind.partition(":")[0]) for violation in check(seen, towns))


def test_a_command_is_known_when_one_of_its_attempts_is() -> None:
    assert amount_to([attempt("k", "unknown", ""), attempt("k", "ok", FIRST)]) == "ok"
    assert amount_to([attempt("k", "fail", ""), attempt("k", "unknown", "")]) == "unknown"
    assert amount_to([attempt("k", "fail", "")]) == "fail"


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = History(tmp_path / "history.jsonl")
    for each in history():
        written.add(each)
    written.close()
    assert read_history(written.file) == history()
