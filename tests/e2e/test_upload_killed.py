"""A ledger killed in the middle of an upload: the same file is sent again, and each line is written once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.one_ledger import OneLedger, gift

pytestmark = pytest.mark.slow

LINES = 600
PIECE_LINES = 50
KILLED_AT = 300


def file_of_transfers() -> list[bytes]:
    return [json.dumps(gift(1, key=f"line-{number}")).encode() + b"\n" for number in range(LINES)]


@pytest.mark.parametrize("order", ["kill before append", "kill after append"])
def test_killed_in_the_middle_of_an_upload_each_line_is_written_once(ledger: OneLedger, order: str) -> None:
    """A-5."""
    url, headers = ledger.door(key="none")
    headers["Content-Type"] = "application/x-ndjson"
    lines, before = file_of_transfers(), ledger.balance("alys")

    def pieces() -> Iterator[bytes]:
        for start in range(0, LINES, PIECE_LINES):
            if start == KILLED_AT:
                ledger.order(order)
            yield b"".join(lines[start : start + PIECE_LINES])

    with pytest.raises(httpx.TransportError):
        httpx.post(f"{url}/bulk", content=pieces(), headers=headers, timeout=30)
    ledger.wait_killed()
    ledger.start()
    written = before - ledger.balance("alys")
    answer = httpx.post(f"{url}/bulk", content=b"".join(lines), headers=headers, timeout=60)
    total = json.loads(answer.content.splitlines()[-1])
    assert (total["lines"], total["repeated"], total["written"]) == (LINES, written, LINES - written)
    assert total["complete"]
    for number in range(LINES):
        ledger.settle(gift(1), key=f"line-{number}")
    assert ledger.balance("alys") == before - LINES
    ledger.check()
