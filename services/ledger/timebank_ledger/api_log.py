"""Routes of the log: checkpoint and hash tiles for everybody, entries for auditors, the tail for followers.

Source: c2sp.org/tlog-tiles; design page 5, "Log".
"""

from __future__ import annotations

import logging
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from timebank_contracts.errors import Malformed
from timebank_contracts.tiles import TILE_WIDTH, TileName, encode_bundle, parse_tile_path
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheEdge, needs, public

router = APIRouter(route_class=GuardedRoute, tags=["log"])
JOURNAL_ENTRIES_MAX: Final = 1_024
JOURNAL_BYTES_MAX: Final = 4 * 1_048_576
STEP_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)
_BYTES: Final[dict[str, object]] = {"application/octet-stream": {}}
TilePath = Annotated[str, Path(max_length=60, description="Index in groups of three digits, as tlog-tiles says.")]


@router.get(
    "/v1/journal",
    operation_id="readJournal",
    openapi_extra=needs("audit:read", "federation"),
    response_class=Response,
    responses={200: {"content": _BYTES, "description": "Entries, each behind its length as two bytes."}},
)
async def read_journal(
    edge: TheEdge,
    caller: TheCaller,
    after: Annotated[int, Query(ge=-1, le=2**53 - 1, description="Position of the last entry had; −1: none.")] = -1,
    limit: Annotated[int, Query(ge=1, le=JOURNAL_ENTRIES_MAX, description="Entries.")] = JOURNAL_ENTRIES_MAX,
    wait_seconds: Annotated[float, Query(ge=0, le=30, description="How long to wait for the next entry.")] = 0,
) -> Response:
    """Entries after a position, waiting for the first when there is none yet."""
    await _wait(edge, after + 1, min(wait_seconds, edge.settings.wait_seconds_max))
    start, length = after + 1, edge.length
    bundle = await run_in_threadpool(_bundle, edge, start, limit)
    # The town's own federation reads all the time, and an empty answer shows nothing.
    if bundle and "audit:read" in caller.scopes:
        _note_reading(caller.subject, start)
    headers = {"X-First-Position": str(start), "X-Position": str(length)}
    return Response(bundle, media_type="application/octet-stream", headers=headers)


async def _wait(edge: Edge, length: int, seconds: float) -> None:
    """Wait until there are more than `length` entries, in one of the few places for those who wait."""
    if edge.length > length or not seconds or not edge.followers.acquire(blocking=False):
        return
    try:
        left = seconds
        while edge.length <= length and edge.writer.loop.reason is None and left > 0:
            await edge.writer.tail.wait_beyond_async(length, timeout_seconds=min(STEP_SECONDS, left))
            left -= STEP_SECONDS
    finally:
        edge.followers.release()


def _bundle(edge: Edge, start: int, limit: int) -> bytes:
    states: list[bytes] = []
    room = JOURNAL_BYTES_MAX
    for record in edge.writer.journal.read(start, min(limit, max(0, edge.length - start))):
        room -= len(record.state) + 2
        if room < 0 and states:
            break
        states.append(record.state)
    return encode_bundle(states)


@router.get(
    "/checkpoint",
    operation_id="getCheckpoint",
    openapi_extra=public(),
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "A signed note."}},
)
def get_checkpoint(edge: TheEdge) -> Response:
    """The latest signed checkpoint; a new one at most every second."""
    assert edge.identity, "a journal that was not opened is refused here"
    note = edge.writer.checkpoint()
    return Response(note, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})


@router.get(
    "/tile/entries/{path:path}",
    operation_id="getEntryBundle",
    openapi_extra=needs("audit:read"),
    response_class=Response,
    responses={200: {"content": _BYTES, "description": "An entry bundle."}},
)
def get_bundle(edge: TheEdge, caller: TheCaller, path: TilePath) -> Response:
    """Up to 256 entries; reading them is noted in the node's own log."""
    name = _tile_name(f"tile/entries/{path}")
    _note_reading(caller.subject, name.number * TILE_WIDTH)
    return _tile(edge.publication.bundle(name), name, "private")


@router.get(
    "/tile/{level}/{path:path}",
    operation_id="getTile",
    openapi_extra=public(),
    response_class=Response,
    responses={200: {"content": _BYTES, "description": "Up to 256 hashes of 32 bytes."}},
)
def get_tile(
    edge: TheEdge, level: Annotated[str, Path(max_length=2, description="Level, from 0.")], path: TilePath
) -> Response:
    """The hashes of a tile: they show no entry."""
    name = _tile_name(f"tile/{level}/{path}")
    return _tile(edge.publication.tile(name), name, "public")


def _tile_name(path: str) -> TileName:
    try:
        return parse_tile_path(path)
    except Malformed as error:
        raise EdgeProblem("not_found", "Not the path of a tile.") from error


def _tile(content: bytes | None, name: TileName, who: str) -> Response:
    if content is None:
        raise EdgeProblem("not_found", "The log does not reach so far; /checkpoint says its size.")
    days = "max-age=31536000, immutable" if name.width == TILE_WIDTH else "max-age=60"
    return Response(content, media_type="application/octet-stream", headers={"Cache-Control": f"{who}, {days}"})


def _note_reading(client: str, start: int) -> None:
    _log.info("entries read", extra={"client": client, "first_position": start})
