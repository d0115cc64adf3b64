"""Routes of a witness: a log asks for a cosignature, anybody sees what was cosigned last.

Source: c2sp.org/tlog-witness; PROTOCOL.md V1, V2, V4.
"""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from timebank_contracts.witness_request import ADD_CHECKPOINT, REQUEST_BYTES_MAX, SIZE_TYPE
from timebank_federation.witness import Witness, WitnessRefused
from timebank_kit.openapi import PUBLIC
from timebank_kit.problem_answers import EdgeProblem

router = APIRouter(tags=["witness"])
NOTE_TYPE: Final = "text/plain; charset=utf-8"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TEXT: Final[dict[str, object]] = {"text/plain": {}}


def _witness(request: Request) -> Witness:
    found: Witness | None = request.app.state.witness
    if found is None:
        raise EdgeProblem("not_found", "This node is no witness.")
    return found


@router.post(
    ADD_CHECKPOINT,
    operation_id="addCheckpoint",
    openapi_extra={
        **PUBLIC,
        "requestBody": {
            "required": True,
            "content": {"text/plain": {"schema": {"type": "string", "description": "A request of tlog-witness."}}},
        },
    },
    response_class=Response,
    responses={
        200: {"content": _TEXT, "description": "Cosignature lines."},
        409: {
            "content": {SIZE_TYPE: {"schema": {"type": "string"}, "example": "17\n"}},
            "description": "The size that was cosigned last.",
        },
    },
)
async def add_checkpoint(request: Request) -> Response:
    """Cosign a checkpoint that continues what was cosigned before; the signatures and the proof say whether it does."""
    witness = _witness(request)
    body = await request.body()
    if len(body) > REQUEST_BYTES_MAX:
        raise EdgeProblem("too_large", f"This route takes at most {REQUEST_BYTES_MAX} bytes.")
    try:
        lines = await run_in_threadpool(witness.add_checkpoint, body)
    except WitnessRefused as refused:
        if refused.size is not None:
            return Response(f"{refused.size}\n", status_code=409, media_type=SIZE_TYPE)
        headers = {"Retry-After": str(refused.seconds)} if refused.seconds else None
        raise EdgeProblem(refused.code, refused.detail, headers=headers) from refused
    except OSError as error:
        raise EdgeProblem("not_ready", f"The witness cannot keep what it would sign ({error.strerror}).") from error
    return Response(lines, media_type=NOTE_TYPE)


@router.get(
    "/witnessed/{digest}/checkpoint",
    operation_id="getWitnessed",
    openapi_extra=PUBLIC,
    response_class=Response,
    responses={200: {"content": _TEXT, "description": "A cosigned note."}},
)
def get_witnessed(request: Request, digest: str) -> Response:
    """The latest checkpoint that was cosigned of the origin whose SHA-256 this is, with both signatures."""
    witness = _witness(request)
    note = witness.latest(digest) if _DIGEST.fullmatch(digest) else None
    if note is None:
        raise EdgeProblem("not_found", "Nothing of such an origin was cosigned here.")
    return Response(note, media_type=NOTE_TYPE, headers={"Cache-Control": "no-cache"})
