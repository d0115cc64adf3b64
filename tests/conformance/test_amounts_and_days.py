"""A typed amount has one verdict wherever it is typed, and so has a day: the parser, files, limits, every route.

A person types an amount with its unit; a program sends whole minutes as a number, and no text at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.ledger.town_api import Client, Town, gift, open_town
from timebank_contracts.amounts import parse_amount
from timebank_contracts.errors import Malformed, Refusal
from timebank_node.season import read_rows
from timebank_node.townsfolk import parse_limit, read_members

ASKED = "asked"
"""A number without a unit: the person is asked which one is meant."""
OUT_OF_RANGE = "out of range"
REFUSED = "refused"
TYPED: dict[str, int | str] = {
    "1:30": 90,
    "1h30": 90,
    "90m": 90,
    "1h 30m": 90,
    "1 h 30 min": 90,
    "1.5h": 90,
    "1,5h": 90,
    "0,25h": 15,
    "90": ASKED,
    "30": ASKED,
    "1.5": ASKED,
    "1,5": ASKED,
    "0.5": ASKED,
    ":30": REFUSED,
    ",5": REFUSED,
    "1½": REFUSED,
    "awr a hanner": REFUSED,
    "abc": REFUSED,
    "٣": REFUSED,
    "٣m": REFUSED,
    "1:75": REFUSED,
    "1e3": REFUSED,
    "1e3m": REFUSED,
    "Infinity": REFUSED,
    "NaN": REFUSED,
    "0x10": REFUSED,
    "-5m": REFUSED,
    "+5m": REFUSED,
    "10.999.99": REFUSED,
    "1.234,5h": REFUSED,
    "3 x 2": REFUSED,
    "=1+1": REFUSED,
    "0.33h": REFUSED,
    "0m": OUT_OF_RANGE,
    "0:00": OUT_OF_RANGE,
    "60001m": OUT_OF_RANGE,
    "1001h": OUT_OF_RANGE,
}
_CODES = {"amount_ambiguous": ASKED, "amount_out_of_range": OUT_OF_RANGE}
_REASONS = {"Write the unit": ASKED, "1 to 60,000": OUT_OF_RANGE, "whole minutes": REFUSED}


def _by(parse: Callable[[str], int]) -> Callable[[str], int | str]:
    def verdict(typed: str) -> int | str:
        try:
            return parse(typed)
        except Refusal as refusal:
            return _CODES[refusal.code]
        except Malformed:
            return REFUSED

    return verdict


def _in_a_file_of_exchanges(typed: str) -> int | str:
    head = "time,payer_town,payer,payee_town,payee,amount\n"
    season = read_rows(f'{head}2026-01-05T09:30Z,aberdare,alys,barry,bryn,"{typed}"\n'.encode())
    if season.rows:
        return season.rows[0].minutes
    assert (season.refused[0].line, season.refused[0].column) == (2, "amount")
    return next(verdict for said, verdict in _REASONS.items() if said in season.refused[0].reason)


PLACES: dict[str, Callable[[str], int | str]] = {
    "the parser": _by(parse_amount),
    "a limit of a command or file": _by(parse_limit),
    "a file of exchanges": _in_a_file_of_exchanges,
}
LIMITS_TOO = {"-5m": -5, "0m": 0, "0:00": 0}
"""A limit may be 0, or below."""


@pytest.mark.parametrize("place", sorted(PLACES))
@pytest.mark.parametrize("typed", sorted(TYPED))
def test_a_typed_amount_has_one_verdict_in_every_place(place: str, typed: str) -> None:
    """C-1, C-3, C-7, C-10, C-12."""
    expected = TYPED[typed]
    if place == "a limit of a command or file":
        expected = LIMITS_TOO.get(typed, expected)
    assert PLACES[place](typed) == expected


def test_an_empty_amount_is_refused_and_takes_nothing_from_the_row_above() -> None:
    """C-9."""
    row = "2026-01-05T09:30Z,aberdare,alys,barry,bryn"
    season = read_rows(f"time,payer_town,payer,payee_town,payee,amount\n{row},500m\n{row},\n{row},5m\n".encode())
    assert [(one.line, one.minutes) for one in season.rows] == [(2, 500), (4, 5)]
    assert [one.line for one in season.refused] == [3]


def test_a_first_row_without_a_heading_is_read_or_named_and_never_dropped() -> None:
    """C-12."""
    season = read_rows(
        b'2026-01-05T09:30Z,aberdare,alys,barry,bryn,"1,5"\n2026-01-05T09:30Z,aberdare,alys,barry,bryn,5m\n'
    )
    assert season.lines == len(season.rows) + len(season.refused) + season.has_heading
    assert [one.line for one in season.refused] == [1]


def test_a_limit_in_a_file_of_members_needs_its_unit() -> None:
    head = "town,handle,kind,name,floor,ceiling\n"
    with pytest.raises(Malformed, match="Line 2, column floor"):
        read_members(f"{head}barry,alys,member,Alys,-600,\n".encode())
    assert read_members(f"{head}barry,alys,member,Alys,-10h,\n".encode())[0].floor == -600


# What programs send ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    with open_town() as opened:
        yield opened


def _send(client: Client, way: str, body: dict[str, Any]) -> tuple[int, str]:
    """Status and code, by one of the three ways that a transfer comes in."""
    if way == "single":
        answer = client.post("/v1/transfers", body)
        return answer.status_code, answer.json().get("code", "")
    one = body | {"key": "one"}
    if way == "batch":
        told = client.post("/v1/transfers/batch", [one], key=None).json()["answers"][0]
    else:
        headers = {"Content-Type": "application/x-ndjson"}
        raw = json.dumps(one).encode() + b"\n"
        answer = client.post("/v1/transfers/bulk", key=None, content=raw, headers=headers)
        told = json.loads(answer.content.splitlines()[0])
    return told["status"], told.get("problem", {}).get("code", "")


@pytest.mark.parametrize("way", ["single", "batch", "bulk"])
def test_no_typed_amount_is_minutes_to_a_program(town: Town, way: str) -> None:
    """C-1, C-3."""
    alys, length = town.member("alys"), town.writer.tail.length
    for minutes in [*TYPED, 90.0, 1.5, True, None, 0, -5, 60_001, 2**63]:
        assert _send(alys, way, gift("alys", "bryn", minutes)) == (422, "amount_out_of_range"), minutes
    assert town.writer.tail.length == length


@pytest.mark.parametrize("way", ["single", "batch", "bulk"])
@pytest.mark.parametrize(
    ("served_on", "code"),
    [
        ("2026-03-04", "served_on_invalid"),
        ("2027-03-02", "served_on_invalid"),
        ("2025-02-28", "served_on_invalid"),
        ("2026-02-29", "field_invalid"),
        ("2026-02-30", "field_invalid"),
        ("2026-13-01", "field_invalid"),
        ("0000-01-01", "field_invalid"),
        ("02/03/2026", "field_invalid"),
        ("2026-3-1", "field_invalid"),
        ("2026-03-01T10:00:00Z", "field_invalid"),
        ("46110", "field_invalid"),
        ("2026-03-01\n", "field_invalid"),
        ("٢٠٢٦-٠٣-٠١", "field_invalid"),
        ("", "field_invalid"),
        (46110, "field_invalid"),
    ],
)
def test_a_day_that_cannot_be_or_has_not_been_is_refused(town: Town, way: str, served_on: Any, code: str) -> None:
    """E-5; PROTOCOL.md M2: it is 2 March 2026 in UTC, and nowhere later than the 3rd."""
    body = gift("alys", "bryn", 5) | {"purpose": "service", "activity": "garden", "served_on": served_on}
    length = town.writer.tail.length
    assert _send(town.member("alys"), way, body) == (422, code)
    assert town.writer.tail.length == length


def test_today_and_the_furthest_day_back_are_taken(town: Town) -> None:
    """E-5."""
    for number, served_on in enumerate(["2026-03-02", "2025-03-01"]):
        body = gift("alys", "bryn", 5) | {"purpose": "service", "activity": "garden", "served_on": served_on}
        answer = town.member("alys").post("/v1/transfers", body, key=f"day-{number}")
        assert answer.status_code == 201, answer.text
