"""Routes of transfers: make one, make a thousand, look one up, take one back.

Source: design page 1, "Life of a transfer"; page 3, "HTTP API".
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from timebank_contracts import http as asked
from timebank_contracts import http_answers as h
from timebank_contracts.errors import Malformed, Refusal
from timebank_contracts.http import BATCH_MAX
from timebank_contracts.tokens import Caller
from timebank_kit.commit_loop import Doubt, QueueFull, Stopped
from timebank_kit.idempotency import check_key
from timebank_kit.journal import JournalTrouble
from timebank_kit.problem_answers import EdgeProblem, in_language
from timebank_kit.strict_json import JSON_TYPE, check_type
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden
from timebank_ledger.answers import only_entry, transfer_answer, transfer_fields, transfer_now
from timebank_ledger.asked import Asking, transfer_command
from timebank_ledger.batch import BATCH_BYTES_MAX, decode_item, item_command, split_batch
from timebank_ledger.edge import (
    Edge,
    GuardedRoute,
    TheCaller,
    TheDryRun,
    TheEdge,
    TheKey,
    body_bytes,
    needs,
    takes_bytes,
    try_all,
    write,
)
from timebank_ledger.problem_answers import invalid_field, problem_of
from timebank_ledger.writer import Written

router = APIRouter(prefix="/v1/transfers", route_class=GuardedRoute, tags=["transfers"])
TransferPath = Annotated[str, Path(pattern=asked.names.TRANSFER_PATTERN, description="The transfer's id.")]
TOGETHER_MAX = 256
"""Commands of a batch that are parked together."""
_ANSWERED = (
    Refusal,
    Malformed,
    Forbidden,
    EdgeProblem,
    QueueFull,
    Stopped,
    Doubt,
    JournalTrouble,
)
"""What may happen to one command of a batch while the others go on; anything else is a bug."""


def asking_of(edge: Edge, caller: Caller, key: str, *, now: datetime | None = None) -> Asking:
    """What a transfer's command needs besides its body."""
    return Asking(
        caller=caller,
        key=key,
        network=edge.access.network,
        node=edge.access.node,
        now=now or edge.clock.now(),
        expires_after_seconds=edge.settings.transfer_expires_after_seconds,
        tag_key=edge.tag_key,
    )


@router.post("", operation_id="postTransfer", status_code=201, openapi_extra=needs("transfers:write", keyed=True))
async def post_transfer(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    body: Annotated[asked.AnyNewTransfer, Body()],
    response: Response,
    dry_run: TheDryRun,
) -> h.Transfer:
    """Give minutes to an account here, to an address in another town, or between several accounts at once."""
    asking = asking_of(edge, caller, key)
    written = await write(edge, transfer_command(body, asking), dry_run=dry_run)
    return _written(edge, written, response)


def _written(edge: Edge, written: Written, response: Response) -> h.Transfer:
    entry = only_entry(written)
    response.headers["X-Position"] = str(entry.n + 1)
    return transfer_answer(edge.identity_at(entry.n), entry)


@router.post(
    "/batch",
    operation_id="postTransfers",
    response_model=h.BatchAnswers,
    openapi_extra=takes_bytes(
        needs("transfers:write"),
        media_type="application/json",
        what="An array of at most 1,000 transfers as POST /v1/transfers takes them, each with its own `key`.",
    ),
)
async def post_transfers(edge: TheEdge, caller: TheCaller, request: Request, dry_run: TheDryRun) -> Response:
    """Up to 1,000 commands; each is written or refused by itself, and the answers stand in their order."""
    check_type(request, JSON_TYPE)
    raws = split_batch(await body_bytes(request, bytes_max=BATCH_BYTES_MAX))
    now = edge.clock.now()
    commands = await run_in_threadpool(lambda: [command_or_answer(edge, caller, raw, now=now) for raw in raws])
    written = await _write_all(edge, [one for one in commands if isinstance(one, c.Command)], dry_run=dry_run)
    each = iter(written)
    answers = [one if isinstance(one, dict) else command_answer(edge, next(each)) for one in commands]
    for answer in answers:
        if "problem" in answer:
            answer["problem"], _ = in_language(request, answer["problem"])
    stands = [only_entry(one).n + 1 for one in written if isinstance(one, Written)]
    return Response(
        msgspec.json.encode({"answers": answers}),
        media_type="application/json",
        headers={"X-Position": str(max(stands, default=edge.length))},
    )


def command_or_answer(
    edge: Edge, caller: Caller, raw: msgspec.Raw | bytes, *, now: datetime
) -> dict[str, Any] | c.Command:
    """The command that an item of a batch asks for, or the answer that it gets for its form."""
    try:
        item = decode_item(raw)
        return item_command(item, asking_of(edge, caller, check_key(item.key), now=now))
    except msgspec.ValidationError as error:
        return problem_answer(invalid_field(error))
    except _ANSWERED as error:
        return problem_answer(problem_of(error))


async def _write_all(edge: Edge, commands: list[c.Command], *, dry_run: bool) -> list[Written | Exception]:
    """Park them part by part, so that other callers, and what peers wait for, find a place between the parts.

    A dry run is one part: what a later command would meet, only the same layer over the book knows.
    """
    written: list[Written | Exception] = []
    size = BATCH_MAX if dry_run else TOGETHER_MAX
    for start in range(0, len(commands), size):
        part = commands[start : start + size]
        try:
            if dry_run:
                answered = await try_all(edge, part)
            else:
                answered = await edge.answers.of(edge.writer.submit_many(part))
        except _ANSWERED as error:
            answered = [error] * len(part)
        written += answered
    return written


def command_answer(edge: Edge, written: Written | Exception) -> dict[str, Any]:
    """The answer to a command of a batch: its transfer, or why there is none."""
    if isinstance(written, _ANSWERED):
        return problem_answer(problem_of(written))
    assert isinstance(written, Written), "the writer answers with what was written, a refusal, or its own trouble"
    entry = only_entry(written)
    said = transfer_fields(edge.identity_at(entry.n), entry)
    return {"status": 201, "transfer": {name: value for name, value in said.items() if value is not None}}


def problem_answer(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a command that was refused."""
    return {"status": body["status"], "problem": body}


@router.get(
    "/{transfer}",
    operation_id="getTransfer",
    openapi_extra=needs("transfers:write", "statements:read", "operate", "audit:read"),
)
def get_transfer(edge: TheEdge, caller: TheCaller, transfer: TransferPath) -> h.Transfer:
    """A transfer as it stands now: who may see none of its accounts is told that it is unknown."""
    return transfer_now(edge, caller, transfer)


@router.post(
    "/{transfer}/reversal",
    operation_id="reverseTransfer",
    status_code=201,
    openapi_extra=needs("operate", keyed=True),
)
async def reverse_transfer(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    transfer: TransferPath,
    body: asked.NewReversal,
    response: Response,
    dry_run: TheDryRun,
) -> h.Transfer:
    """Take a transfer within the town back, or a part of it; what an account cannot give comes from the pot."""
    content = {"kind": "reversal", "transfer": transfer} | body.model_dump(exclude_none=True)
    head = asking_of(edge, caller, key).head(content)
    command = c.ReverseTransfer(**head, transfer=transfer, reason=body.reason, minutes=body.minutes)
    return _written(edge, await write(edge, command, dry_run=dry_run), response)
