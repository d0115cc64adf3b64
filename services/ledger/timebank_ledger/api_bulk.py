"""The route for a whole file of transfers: NDJSON in, NDJSON out, both while they come.

A line has the form of a batch's command, with its own `key`, and is written or refused by itself. Lines are parked with
the writer in groups, and the next are read when these are answered: others get their turn, and a full queue slows the
sender down instead of refusing its lines. After a broken connection the same file is sent again, whole or
`?from_line=n`: the keys give the first answers.
Source: design page 3, "HTTP API"; cases B-3, C-12.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from timebank_contracts.http import BATCH_MAX
from timebank_contracts.tokens import Caller
from timebank_kit.commit_loop import Doubt, QueueFull, Stopped
from timebank_kit.journal import JournalTrouble
from timebank_kit.problem_answers import EdgeProblem, in_language
from timebank_kit.strict_json import check_type
from timebank_ledger import commands as c
from timebank_ledger.answers import only_entry
from timebank_ledger.api_transfers import TOGETHER_MAX, command_answer, command_or_answer, problem_answer
from timebank_ledger.bulk import BYTES_MAX, LINES_MAX, Line, LineReader, Spool, Tally, check_line
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheDryRun, TheEdge, needs, takes_bytes, try_all
from timebank_ledger.problem_answers import problem_of
from timebank_ledger.writer import Written

PATH: Final = "/v1/transfers/bulk"
MEDIA_TYPE: Final = "application/x-ndjson"
UPLOADS_MAX: Final = 8
"""Uploads under way at one time."""
UPLOAD_SECONDS_MAX: Final = 900.0
"""As long as a token lives: the caller was judged when the upload began."""
PIECE_SECONDS_MAX: Final = 30.0
QUEUE_TRIES_MAX: Final = 30
_TROUBLE = (Stopped, Doubt, JournalTrouble)
"""What the writer may say of a whole group: its lines are not answered, and the file is sent again from there."""
_WHAT = (
    f"At most {LINES_MAX} lines, each a transfer as POST /v1/transfers takes it with its own `key`, as JSON of at most "
    "16 KiB that ends in a line feed."
)
_ANSWERED = (
    "A line for each line: {line, status, transfer or problem, repeated}; the last one is the sum: {lines, skipped, "
    "written, repeated, refused, position, complete}, and `problem` where it is not complete: go on from the next line."
)
router = APIRouter(prefix="/v1/transfers", route_class=GuardedRoute, tags=["transfers"])


@router.post(
    "/bulk",
    operation_id="uploadTransfers",
    response_class=Response,
    responses={
        200: {
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "description": _ANSWERED}}},
            "description": "Lines.",
        }
    },
    openapi_extra=takes_bytes(needs("transfers:write"), media_type=MEDIA_TYPE, what=_WHAT),
)
async def upload_transfers(
    edge: TheEdge,
    caller: TheCaller,
    request: Request,
    dry_run: TheDryRun,
    from_line: Annotated[int, Query(ge=1, le=LINES_MAX, description="Pass over the lines before this one.")] = 1,
) -> Response:
    """Up to 100,000 commands, answered line by line while they are read; a dry run takes at most 1,000."""
    check_type(request, MEDIA_TYPE)
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > BYTES_MAX:
        raise EdgeProblem("too_large", f"An upload has at most {BYTES_MAX} bytes; send it in parts.")
    uploads: threading.BoundedSemaphore = request.app.state.uploads
    if not uploads.acquire(blocking=False):
        raise EdgeProblem("queue_full", f"{UPLOADS_MAX} uploads are under way already; come again later.")
    upload = Upload(edge, caller, request, from_line=from_line, dry_run=dry_run)
    return UploadAnswer(upload, uploads=uploads)


class UploadAnswer(StreamingResponse):
    """Reads the body and sends the answer at the same time, each as the other side lets it.

    Args:
        upload: takes the lines.
        uploads: given back at the end.
    """

    def __init__(self, upload: Upload, *, uploads: threading.BoundedSemaphore) -> None:
        self._spool = Spool()
        self._upload = upload
        self._uploads = uploads
        super().__init__(self._spool.pieces(), media_type=MEDIA_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reading = asyncio.create_task(self._upload.take(receive, self._spool))
        try:
            # The base class would listen for the client's going by `receive`, which is the body's here.
            await self.stream_response(send)
            await reading
        finally:
            reading.cancel()
            self._spool.close()
            self._uploads.release()


class Upload:
    """One file on its way to the writer.

    Args:
        edge: the routes' own.
        caller: whose commands they are.
        request: says in which language problems are told.
        from_line: lines before it are counted and not looked at.
        dry_run: answer what would be written, and write nothing.
        piece_seconds_max: how long the next piece of the body may take.
        pause: waits so many seconds while the writer's queue is full.
    """

    def __init__(
        self,
        edge: Edge,
        caller: Caller,
        request: Request,
        *,
        from_line: int = 1,
        dry_run: bool = False,
        piece_seconds_max: float = PIECE_SECONDS_MAX,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._edge = edge
        self._caller = caller
        self._request = request
        self._from_line = from_line
        self._dry_run = dry_run
        self._piece_seconds_max = piece_seconds_max
        self._pause = pause
        self._group: list[Line] = []
        self._tally = Tally()
        self._position = edge.length

    async def take(self, receive: Receive, spool: Spool) -> None:
        """Read the body to its end, or to where it cannot go on, and answer its lines and their sum."""
        problem: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(UPLOAD_SECONDS_MAX):
                await self._read(receive, spool)
            self._put(spool, self._tally.summary(position=self._position, problem=None))
        except TimeoutError:
            problem = EdgeProblem("too_slow", "The upload took too long; send the rest by itself.").body
        except (EdgeProblem, QueueFull, *_TROUBLE) as error:
            problem = problem_of(error)
        except ClientDisconnect:
            pass  # nobody is left to be told, and the keys tell it to whoever comes again
        finally:
            if problem is not None:
                self._put(spool, self._tally.summary(position=self._position, problem=problem))
            # A bug leaves the answer without its last line, which says that it is not all.
            spool.end()

    async def _read(self, receive: Receive, spool: Spool) -> None:
        lines = LineReader()
        more = True
        while more:
            async with asyncio.timeout(self._piece_seconds_max):
                message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            more = message.get("more_body", False)
            fault: EdgeProblem | None = None
            try:
                for line in lines.feed(message.get("body", b"")):
                    await self._gather(line, spool)
                if not more:
                    lines.check_end()
            except EdgeProblem as error:
                fault = error
            if fault is not None or not more or not self._dry_run:
                # What stands before a fault was asked for, so it is done.
                await self._flush(spool)
            if fault is not None:
                raise fault

    async def _gather(self, line: Line, spool: Spool) -> None:
        if line.number < self._from_line:
            self._tally.skipped += 1
            return
        self._group.append(line)
        if self._dry_run and len(self._group) > BATCH_MAX:
            self._group.pop()
            raise EdgeProblem("too_large", f"A dry run takes at most {BATCH_MAX} lines.")
        if not self._dry_run and len(self._group) == TOGETHER_MAX:
            await self._flush(spool)

    async def _flush(self, spool: Spool) -> None:
        """Write what was gathered, and answer it; or raise what keeps the writer from it."""
        group, self._group = self._group, []
        now = self._edge.clock.now()
        asked = await run_in_threadpool(lambda: [self._command(line, now) for line in group])
        commands = [one for one in asked if isinstance(one, c.Command)]
        written = iter(await self._written(commands) if commands else [])
        for line, one in zip(group, asked, strict=True):
            done = next(written) if isinstance(one, c.Command) else one
            repeated = isinstance(done, Written) and done.repeated
            answer = done if isinstance(done, dict) else command_answer(self._edge, done)
            if isinstance(done, Written):
                self._position = max(self._position, only_entry(done).n + 1)
            self._tally.repeated += repeated
            self._tally.written += isinstance(done, Written) and not repeated
            self._tally.refused += not isinstance(done, Written)
            self._put(spool, {"line": line.number} | answer | ({"repeated": True} if repeated else {}))

    def _command(self, line: Line, now: datetime) -> c.Command | dict[str, Any]:
        try:
            check_line(line)
        except EdgeProblem as problem:
            return problem_answer(problem.body)
        return command_or_answer(self._edge, self._caller, line.raw, now=now)

    async def _written(self, commands: list[c.Command]) -> list[Written | Exception]:
        """The writer's answers; while its queue is full the sender waits."""
        for _ in range(QUEUE_TRIES_MAX):
            try:
                if self._dry_run:
                    return await try_all(self._edge, commands)
                return await self._edge.answers.of(self._edge.writer.submit_many(commands))
            except QueueFull as full:
                await self._pause(full.retry_after_seconds)
        raise QueueFull("The writer is busy; send the rest of the file later.")

    def _put(self, spool: Spool, said: dict[str, Any]) -> None:
        if "problem" in said:
            said["problem"], _ = in_language(self._request, said["problem"])
        spool.put(msgspec.json.encode(said) + b"\n")
