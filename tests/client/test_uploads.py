"""A file of transfers is sent line by line, taken up again where the line broke, and no line is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.client.lines import Fault, FaultyLine, answered, lost_answer, lost_request
from tests.client.test_calls import gift
from tests.federation.towns import FederatedTown
from timebank_client import Keyed, Refused, Timebank, Unavailable, Unexpected, write_upload

pytestmark = pytest.mark.slow  # every test opens a town
UPLOAD = "/v1/transfers/bulk"


@pytest.fixture
def month(tmp_path: Path, aberdare: FederatedTown) -> Path:
    """Five visits; the fourth is more than Alys may owe."""
    path = tmp_path / "month.ndjson"
    visits = [Keyed(f"visit-{n}", gift(aberdare, 9_000 if n == 4 else n)) for n in range(1, 6)]
    assert write_upload(path, visits) == 5
    return path


def cut_after(lines: int) -> Fault:
    """The room does all of it, and the answer ends after so many lines."""

    def fault(request: httpx.Request, room: httpx.BaseTransport) -> httpx.Response:
        said = room.handle_request(request)
        whole = said.read().splitlines(keepends=True)

        def pieces() -> Iterator[bytes]:
            yield from whole[:lines]
            raise httpx.ReadError("The line broke.", request=request)

        return httpx.Response(200, content=pieces(), request=request)

    return fault


def test_each_line_is_written_or_refused_by_itself(town: Timebank, aberdare: FederatedTown, month: Path) -> None:
    said = list(town.transfers.upload(month))
    assert [line.line for line in said] == [1, 2, 3, 4, 5]
    assert [line.transfer.minutes for line in said if line.transfer is not None] == [1, 2, 3, 5]
    (refusal,) = [line.refusal for line in said if line.refusal is not None]
    assert refusal.code == "floor"
    assert town.accounts.get(aberdare.accounts["bryn"]).balance == 11


def test_a_dry_run_writes_nothing(town: Timebank, aberdare: FederatedTown, month: Path) -> None:
    assert [line.status for line in town.transfers.upload(month, dry_run=True)] == [201, 201, 201, 409, 201]
    assert town.accounts.get(aberdare.accounts["bryn"]).balance == 0


@pytest.mark.parametrize(
    "faults", [[lost_request], [lost_answer], [cut_after(2)], [cut_after(2), cut_after(1)], [answered(503)]]
)
def test_a_broken_line_is_taken_up_where_it_broke(
    town: Timebank, aberdare: FederatedTown, line: FaultyLine, month: Path, faults: list[Fault]
) -> None:
    line.faults[UPLOAD] = faults
    assert [each.line for each in town.transfers.upload(month)] == [1, 2, 3, 4, 5]
    assert town.accounts.get(aberdare.accounts["bryn"]).balance == 11
    assert len(line.sent_to(UPLOAD)) > 1


def test_an_upload_that_gets_no_line_further_ends_and_says_where_to_go_on(
    town: Timebank, line: FaultyLine, month: Path, waited: list[float]
) -> None:
    line.faults[UPLOAD] = [cut_after(3), *[lost_request] * 9]
    taken: list[int] = []
    with pytest.raises(Unavailable, match="from_line=4"):
        taken.extend(each.line for each in town.transfers.upload(month))
    assert len(waited) == 3
    line.faults[UPLOAD] = []
    assert [each.line for each in town.transfers.upload(month, from_line=4)] == [4, 5]


def test_what_the_town_never_takes_is_not_sent_again(town: Timebank, line: FaultyLine, month: Path) -> None:
    with month.open("ab") as file:
        file.write(b'{"key": "cut')
    taken: list[int] = []
    with pytest.raises(Refused) as error:
        taken.extend(each.line for each in town.transfers.upload(month))
    assert error.value.code == "malformed"
    assert taken == [1, 2, 3, 4, 5]
    assert len(line.sent_to(UPLOAD)) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"complete": false, "lines": 0}', b'{"line": "1"}'])
def test_an_answer_of_another_form_is_unexpected(town: Timebank, line: FaultyLine, month: Path, body: bytes) -> None:
    line.faults[UPLOAD] = [answered(200, body=body)]
    with pytest.raises(Unexpected):
        list(town.transfers.upload(month))
