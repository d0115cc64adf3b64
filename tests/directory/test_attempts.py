"""Attempts: failures cost tries that come back with time; the table is bounded."""

from __future__ import annotations

from timebank_directory.attempts import NAMES_MAX, SECONDS_A_TRY, TRIES, Attempts


def test_tries_are_used_up_and_come_back_one_by_one() -> None:
    attempts = Attempts()
    assert [attempts.take("app", now=0) for _ in range(TRIES)] == [0] * TRIES
    assert attempts.take("app", now=0) == SECONDS_A_TRY
    assert attempts.take("app", now=SECONDS_A_TRY / 2) == 2
    assert attempts.take("other", now=0) == 0
    assert attempts.take("app", now=SECONDS_A_TRY) == 0
    assert attempts.take("app", now=SECONDS_A_TRY) > 0
    assert [attempts.take("app", now=1e6) for _ in range(TRIES + 1)] == [0] * TRIES + [3]


def test_what_is_given_back_leaves_no_trace() -> None:
    attempts = Attempts()
    for number in range(3 * NAMES_MAX):
        assert attempts.take(f"{number}", now=0) == 0
        attempts.give_back(f"{number}", now=0)
    assert not attempts._left


def test_the_name_tried_longest_ago_is_forgotten_first() -> None:
    attempts = Attempts()
    for _ in range(TRIES):
        attempts.take("early", now=0)
    for number in range(NAMES_MAX - 1):
        attempts.take(f"{number}", now=0)
    assert attempts.take("early", now=0) > 0
    attempts.take("one more", now=0)
    assert attempts.take("early", now=0) == 0


def test_failures_and_proofs_that_were_not_looked_at_are_counted_apart() -> None:
    attempts = Attempts()
    for _ in range(TRIES):
        attempts.take("app", now=0)
        attempts.count_failure()
    attempts.take("app", now=0)
    attempts.take("other", now=0)
    attempts.give_back("other", now=0)
    assert (attempts.failed, attempts.turned_away) == (TRIES, 1)
