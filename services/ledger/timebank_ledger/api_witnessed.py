"""What witnesses hold of this town's log: a checkpoint that the journal does not contain stops the writer.

The town's own federation asks the witnesses and says what it found; a checkpoint under the town's own log key is judged
here once more, against the journal.
Source: design page 2, "Rollback and generations"; PROTOCOL.md V5.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Request
from msgspec import Meta
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from timebank_contracts.checkpoint import open_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.http import Model
from timebank_ledger import commands as c
from timebank_ledger.access import actor
from timebank_ledger.edge import Edge, GuardedRoute, TheCaller, TheEdge, body_bytes, needs, takes_bytes, write

router = APIRouter(route_class=GuardedRoute, tags=["log"])
BODY_BYTES_MAX: Final = 32_768
WHAT: Final = (
    "JSON {text, note}: who holds what, a sentence of at most 500 characters for the operator; the checkpoint under "
    "this town's log key that the witness shows, or null."
)


class Contradiction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A witness holds another log of this town than the journal."""

    text: Annotated[str, Meta(min_length=1, max_length=500)]
    note: Annotated[str, Meta(max_length=16_384)] | None = None


class Judged(Model):
    """What the ledger made of it."""

    contradicts: bool = Field(description="False: the journal has what the witness holds. Else the answer is 503.")


@router.post(
    "/v1/journal/contradiction",
    operation_id="sayContradiction",
    openapi_extra=takes_bytes(needs("federation"), media_type="application/octet-stream", what=WHAT),
)
async def say_contradiction(edge: TheEdge, request: Request, caller: TheCaller) -> Judged:
    """Stop the writer because a witness holds what the journal does not; a checkpoint that it has changes nothing."""
    raw = await body_bytes(request, bytes_max=BODY_BYTES_MAX)
    try:
        said = msgspec.json.decode(raw, type=Contradiction)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(f"A contradiction is {WHAT}") from error
    if said.note is not None and not await run_in_threadpool(_contradicts, edge, said.note.encode()):
        return Judged(contradicts=False)
    await write(edge, c.StopForProof(by=actor(caller), text=said.text))
    raise AssertionError("a proof stops the writer")


def _contradicts(edge: Edge, note: bytes) -> bool:
    """Whether a checkpoint of our own key is none of the journal's; the head file remembers one that is beyond it.

    Raises:
        Malformed: it is not of our own key.
    """
    origin, checkpoints = edge.identity.origin, edge.writer.checkpoints
    found = open_checkpoint(note, checkpoints.vkey(origin))
    if found.size <= edge.length and edge.publication.root_at(found.size) == found.root:
        return False
    with edge.writer.reading():
        checkpoints.contradicted_by(note, origin)
    return True
