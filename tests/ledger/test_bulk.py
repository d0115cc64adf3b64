"""The bulk upload: a file of transfers line by line, in bounds, which can be cut anywhere and sent again."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from fastapi import Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.town_api import OPERATOR, Client, Town, gift, open_town
from timebank_kit.journal import OutcomeUnknown, Record, originator_of
from timebank_kit.journal_memory import MemoryJournal
from timebank_kit.web import Receive, serve_app
from timebank_ledger import commands as c
from timebank_ledger.api_bulk import PATH, UPLOADS_MAX, Upload
from timebank_ledger.bulk import LINE_BYTES_MAX, LINES_MAX, LineReader, Spool

KIND = {"Content-Type": "application/x-ndjson"}


def command(number: int, **more: Any) -> dict[str, Any]:
    return gift("alys", "bryn", 1) | {"key": f"line-{number}"} | more


def lines_of(commands: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in commands)


def upload(client: Client, raw: bytes, **params: Any) -> list[dict[str, Any]]:
    answer = client.post(PATH, key=None, content=raw, headers=KIND, params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.content.splitlines()]


def balance(town: Town) -> int:
    found: int = town.operator().get("/v1/accounts/bryn").json()["balance"]
    return found


async def pieces_to(town: Town, token: str, pieces: list[bytes], *, goes: bool = False) -> list[dict[str, Any]]:
    """Send a body piece by piece; `goes`: the client goes away after the last one. Returns the lines of the answer."""
    left, sent = list(pieces), list[bytes]()
    never = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if left:
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or goes}
        if goes:
            return {"type": "http.disconnect"}
        await never.wait()
        raise AssertionError("nothing more comes")

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/x-ndjson")]
    scope = {"type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "query_string": b""}
    scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "", "server": ("ledger", 80)}
    await town.app(scope, receive, send)
    return [json.loads(line) for line in b"".join(sent).splitlines()]


def take(town: Town, raw: bytes, *, then: Receive, **more: Any) -> list[dict[str, Any]]:
    """Let an upload take a first piece, and what comes then; returns the lines of the answer."""
    alys = town.member("alys")
    caller = town.access.verify(f"Bearer {alys.token}", scopes=frozenset({"transfers:write"}), now=town.clock.now())
    pieces = [raw]

    async def receive() -> Any:
        return {"type": "http.request", "body": pieces.pop(), "more_body": True} if pieces else await then()

    async def run() -> bytes:
        spool = Spool()
        request = Request({"type": "http", "headers": []})
        await Upload(town.app.state.edge, caller, request, **more).take(receive, spool)
        told = b"".join([piece async for piece in spool.pieces()])
        spool.close()
        return told

    return [json.loads(line) for line in asyncio.run(run()).splitlines()]


async def ends() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


class Gated(MemoryJournal):
    """Waits before each append until the gate is open; loses an append, or its answer, when it is told to."""

    def __init__(self) -> None:
        super().__init__(originator_of("aberdare"))
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()
        self.lose = ""
        self.after = 0

    def append(self, records: Sequence[Record]) -> None:
        self.reached.set()
        assert self.gate.wait(30)
        self.after -= 1
        lose = self.lose if self.after == 0 else ""
        if lose != "append":
            super().append(records)
        if lose:
            raise OutcomeUnknown("the connection broke")


@pytest.fixture
def gated() -> Iterator[tuple[Town, Gated]]:
    journal = Gated()
    town = Town("aberdare", 1, journal)
    town.begin()
    yield town, journal
    town.close()


def test_every_line_is_answered_in_order_and_the_sum_comes_last(town: Town) -> None:
    raw = lines_of([command(1), command(2, minutes=0), command(3, payer="bryn"), command(4), command(1)])
    *answers, total = upload(town.member("alys"), raw)
    assert [(one["line"], one["status"]) for one in answers] == [(1, 201), (2, 422), (3, 403), (4, 201), (5, 201)]
    assert answers[0]["transfer"]["id"] == answers[4]["transfer"]["id"]
    assert [one.get("repeated") for one in answers] == [None, None, None, None, True]
    assert total == {
        "lines": 5,
        "skipped": 0,
        "written": 2,
        "repeated": 1,
        "refused": 2,
        "position": town.writer.tail.length,
        "complete": True,
    }
    assert balance(town) == 2


def test_a_line_is_judged_as_a_command_of_a_batch(town: Town) -> None:
    """B-3, D-1: the same key on another route is the same command, and another content under it is refused."""
    alys = town.member("alys")
    first = alys.post("/v1/transfers", gift("alys", "bryn", 1), key="line-1").json()
    said = {"purpose": "service", "activity": "garden", "served_on": "2026-03-01"}
    group = said | {"key": "g", "postings": [["alys", -2], ["bryn", 1], ["library", 1]]}
    minting = said | {"key": "h", "postings": [["alys", -60], ["bryn", 61]]}
    answers = upload(alys, lines_of([command(1), command(1, minutes=2), group, minting]))
    assert answers[0]["transfer"]["id"] == first["id"]
    codes = [one.get("problem", {}).get("code") for one in answers[:4]]
    assert codes == [None, "key_reused", None, "posting_invalid"]


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "malformed"),
        (b" \t\r", "malformed"),
        (b"key,payer,payee,minutes", "malformed"),
        (b'["key","payer"]', "field_invalid"),
        (b'{"key":"a","key":"b"}', "malformed"),
        (b'{"key":"\\ud800"}', "malformed"),
        (b'{"key":"a\\u0000b"}', "field_invalid"),
        (b"\xed\xa0\x80", "malformed"),
        (b"[" * 10_000, "malformed"),
        (b" " * (LINE_BYTES_MAX + 1), "too_large"),
    ],
)
def test_a_line_that_is_no_command_spoils_only_itself(town: Town, raw: bytes, code: str) -> None:
    """C-12: a heading is a line like any other; C-9: nothing is carried from line to line."""
    for_two = lines_of([command(1)])
    *answers, total = upload(town.member("alys"), raw + b"\n" + for_two)
    assert [(one["line"], one["status"] < 400) for one in answers] == [(1, False), (2, True)]
    assert answers[0]["problem"]["code"] == code
    assert (total["lines"], total["written"], total["refused"], total["complete"]) == (2, 1, 1, True)


def test_a_byte_order_mark_and_carriage_returns_are_no_part_of_a_line(town: Town) -> None:
    raw = b"\xef\xbb\xbf" + lines_of([command(1), command(2)]).replace(b"\n", b"\r\n")
    assert upload(town.member("alys"), raw)[-1]["written"] == 2


def test_a_line_s_problem_is_told_in_the_reader_s_language(town: Town) -> None:
    headers = KIND | {"Accept-Language": "cy"}
    answer = town.member("alys").post(PATH, key=None, content=b"{}\n" + b"{}", headers=headers)
    refused, total = (json.loads(line) for line in answer.content.splitlines())
    english = upload(town.member("alys"), b"{}\n{}")
    assert refused["problem"]["title"] != english[0]["problem"]["title"]
    assert total["problem"]["title"] != english[1]["problem"]["title"]


def test_a_body_that_stops_coming_ends_the_upload_with_what_is_left_to_send(town: Town) -> None:
    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nothing more comes")

    raw = lines_of([command(1)]) + b'{"key"'
    answer, total = take(town, raw, then=never, piece_seconds_max=0.05)
    assert (answer["status"], total["lines"], total["complete"]) == (201, 1, False)
    assert total["problem"]["code"] == "too_slow"
    assert town.writer.tail.length == 7


def test_an_empty_file_is_complete(town: Town) -> None:
    assert [one["complete"] for one in upload(town.member("alys"), b"")] == [True]


def test_a_last_line_without_an_end_is_reported_and_not_written(town: Town) -> None:
    *answers, total = upload(town.member("alys"), lines_of([command(1), command(2)])[:-1])
    assert [one["line"] for one in answers] == [1]
    assert (total["lines"], total["complete"], total["problem"]["code"]) == (1, False, "malformed")
    assert "Line 2" in total["problem"]["detail"]
    assert balance(town) == 1


def test_lines_before_from_line_are_counted_and_not_looked_at(town: Town) -> None:
    raw = lines_of([command(1), {"no": "command"}, command(3)])
    *answers, total = upload(town.member("alys"), raw, from_line=3)
    assert [one["line"] for one in answers] == [3]
    assert (total["lines"], total["skipped"], total["written"]) == (3, 2, 1)


def test_a_dry_run_answers_as_the_upload_would_and_writes_nothing(town: Town) -> None:
    alys = town.member("alys")
    raw = lines_of([command(1, minutes=600), command(2), command(1, minutes=600), {}])
    tried = alys.post(PATH, key=None, content=raw, headers=KIND, params={"dry_run": "true"})
    assert (town.writer.tail.length, tried.headers["X-Dry-Run"]) == (6, "true")
    done = alys.post(PATH, key=None, content=raw, headers=KIND)
    assert [json.loads(one).get("status") for one in done.content.splitlines()] == [201, 409, 201, 422, None]
    assert tried.content == done.content


def test_a_dry_run_of_more_than_a_thousand_lines_says_where_it_ends(town: Town) -> None:
    *answers, total = upload(town.member("alys"), b"{}\n" * 1_001, dry_run="true")
    assert (len(answers), total["lines"], total["complete"]) == (1_000, 1_000, False)
    assert total["problem"]["code"] == "too_large"


def test_a_file_of_too_many_lines_is_done_up_to_the_bound() -> None:
    reader, found = LineReader(), 0
    with pytest.raises(Exception, match="at most 100000 lines"):  # noqa: PT012 - what came before counts, too
        for _ in reader.feed(b"\n" * (LINES_MAX + 1)):
            found += 1
    assert found == LINES_MAX


@pytest.mark.parametrize("kind", [None, "text/plain", "application/json", "multipart/form-data"])
def test_an_upload_of_another_kind_is_refused(town: Town, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    answer = town.member("alys").post(PATH, key=None, content=lines_of([command(1)]), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert town.writer.tail.length == 6


def test_so_many_uploads_are_taken_at_one_time(town: Town) -> None:
    for _ in range(UPLOADS_MAX):
        assert town.app.state.uploads.acquire(blocking=False)
    answer = town.member("alys").post(PATH, key=None, content=b"", headers=KIND)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "queue_full", "1")
    town.app.state.uploads.release(UPLOADS_MAX)
    assert upload(town.member("alys"), b"")[-1]["complete"]


def test_a_stopped_writer_ends_the_upload_with_what_is_left_to_send(town: Town) -> None:
    alys = town.member("alys")
    town.writer.close()
    [total] = upload(alys, lines_of([command(1)]))
    assert (total["lines"], total["complete"], total["problem"]["code"]) == (0, False, "writer_stopped")


def test_a_client_that_sends_all_before_it_reads_gets_every_answer(town: Town) -> None:
    """More than the buffers of both sides hold: neither may wait for the other."""
    raw = (b"{}" + b" " * 400 + b"\n") * 20_000
    server = serve_app(town.app)
    try:
        with socket.socket() as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            line.connect(("127.0.0.1", server.port))
            head = f"POST {PATH} HTTP/1.1\r\nHost: ledger\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n"
            head += f"Content-Type: application/x-ndjson\r\nAuthorization: Bearer {town.member('alys').token}\r\n\r\n"
            line.sendall(head.encode() + raw)
            answer = b"".join(iter(lambda: line.recv(1 << 16), b""))
    finally:
        server.stop()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"lines":20000,"skipped":0,"written":0,"repeated":0,"refused":20000' in answer


def test_a_full_queue_slows_the_sender_down_and_refuses_no_line(gated: tuple[Town, Gated]) -> None:
    town, journal = gated
    journal.gate.clear()
    journal.reached.clear()
    busy = town.writer.submit(c.SetAccountState(by=OPERATOR, account="library", state="frozen"))
    assert journal.reached.wait(10)
    unknown = c.SetAccountState(by=OPERATOR, account="nobody", state="frozen")
    behind = town.writer.submit_many([unknown] * 8_192)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        journal.gate.set()
        busy.result(10)
        behind.result(10)

    *answers, total = take(town, lines_of([command(1), command(2)]), then=ends, pause=pause)
    assert pauses == [1]
    assert [one["status"] for one in answers] == [201, 201]
    assert total["complete"]


@pytest.mark.parametrize("lose", ["append", "answer"])
def test_a_commit_of_unknown_outcome_ends_the_upload_and_the_rest_is_sent_again(
    gated: tuple[Town, Gated], lose: str
) -> None:
    """A-5: whether the group was written or not, going on from the next line writes each command once."""
    town, journal = gated
    journal.lose, journal.after = lose, 2
    raw = lines_of(command(number) for number in range(1, 601))
    first = take(town, raw, then=ends)[-1]
    assert (first["lines"], first["written"], first["complete"]) == (256, 256, False)
    assert first["problem"]["code"] == "outcome_unknown"
    while town.writer.loop.reason is not None:
        town.writer.tail.wait_beyond(1_000_000, timeout_seconds=0.05)
    rest = upload(town.member("alys"), raw, from_line=first["lines"] + 1)[-1]
    again = 256 if lose == "answer" else 0
    assert (rest["skipped"], rest["repeated"], rest["written"], rest["complete"]) == (256, again, 344 - again, True)
    assert balance(town) == 600


def test_a_key_is_the_client_s_own_and_the_order_of_fields_is_no_content(town: Town) -> None:
    """B-3."""
    alys = town.member("alys")
    first = upload(alys, lines_of([command(1)]))[0]["transfer"]
    turned = dict(reversed(command(1).items()))
    assert upload(alys, lines_of([turned]))[0]["transfer"] == first
    other = town.client("transfers:write", subject="housing", accounts=frozenset({"alys"}))
    theirs = upload(other, lines_of([command(1, confirmed_by="none")]))[0]
    assert (theirs["status"], theirs.get("repeated")) == (201, None)
    assert theirs["transfer"]["id"] != first["id"]


COMMANDS = [command(number) for number in range(1, 301)]
RAW = lines_of(COMMANDS)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(cuts=st.lists(st.integers(0, len(RAW)), max_size=6), end=st.integers(0, len(RAW)), goes=st.booleans())
def test_an_upload_cut_anywhere_and_sent_again_writes_each_command_once(
    cuts: list[int], end: int, *, goes: bool
) -> None:
    with open_town() as town:
        token = town.member("alys").token
        places = sorted({0, end, *(cut for cut in cuts if cut < end)})
        pieces = [RAW[start:stop] for start, stop in pairwise(places)] or [b""]
        first = asyncio.run(pieces_to(town, token, pieces, goes=goes))
        whole = RAW[:end].count(b"\n")
        assert town.writer.tail.length == 6 + whole
        if not goes:
            assert (first[-1]["lines"], first[-1]["written"]) == (whole, whole)
            assert first[-1]["complete"] == (RAW[:end].endswith(b"\n") or end == 0)
        again = asyncio.run(pieces_to(town, token, [RAW]))
        assert (again[-1]["repeated"], again[-1]["written"]) == (whole, 300 - whole)
        rest = asyncio.run(pieces_to(town, token, [RAW]))
        assert [one.get("transfer") for one in rest] == [one.get("transfer") for one in again]
        assert balance(town) == 300
        assert town.writer.tail.length == 306


@given(raw=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_lines_are_the_same_however_the_body_is_cut(raw: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    reader = LineReader()
    found = [line for start, stop in pairwise(places) for line in reader.feed(raw[start:stop])]
    assert [line.raw for line in found] == [
        part.removeprefix(b"\xef\xbb\xbf") if not number else part for number, part in enumerate(raw.split(b"\n")[:-1])
    ]
    assert [line.number for line in found] == list(range(1, len(found) + 1))


def test_answers_wait_for_a_client_that_does_not_read_and_none_is_lost() -> None:
    async def run() -> bytes:
        spool = Spool()
        for number in range(50_000):
            spool.put(b"%049d\n" % number)
        taken = list[bytes]()
        async for piece in spool.pieces():
            taken.append(piece)
            if len(taken) == 1:
                spool.put(b"last\n")
                spool.end()
        spool.close()
        return b"".join(taken)

    assert asyncio.run(run()) == b"".join(b"%049d\n" % number for number in range(50_000)) + b"last\n"
