"""Routes of peers: their segments, our streams to them, positions, the registry.

Source: design page 2, "Stream, segment, acknowledgement"; PROTOCOL.md S7, R4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from msgspec import UNSET
from starlette.concurrency import run_in_threadpool

from timebank_contracts import dsse
from timebank_contracts import entries as e
from timebank_contracts import http as asked
from timebank_contracts import http_answers as h
from timebank_contracts.entries import decode_entry
from timebank_contracts.errors import Refusal
from timebank_contracts.figures import is_near, position_rows
from timebank_contracts.names import Identity
from timebank_contracts.registry import PAYLOAD_TYPE, REGISTRY_BYTES_MAX
from timebank_contracts.segments import SEGMENT_BYTES_MAX, SEGMENT_MESSAGES_MAX, parse_segment
from timebank_contracts.state import Book, PeerState
from timebank_contracts.streams import StreamHead
from timebank_contracts.tokens import Caller
from timebank_kit.journal import Journal
from timebank_kit.problem_answers import EdgeProblem
from timebank_ledger import commands as c
from timebank_ledger.access import Forbidden, actor
from timebank_ledger.answers import only_entry
from timebank_ledger.asked import command_head
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
    write,
)
from timebank_ledger.index import Out
from timebank_ledger.index_rows import stream_start
from timebank_ledger.putting_back import payers_in, repeat_all

router = APIRouter(prefix="/v1", route_class=GuardedRoute, tags=["peers"])
PeerPath = Annotated[str, Path(pattern=asked.names.NODE_PATTERN, description="The other town.")]
NEAR_ENTRIES = 4
"""Messages whose entries lie this close together on average are read as one range."""


@router.post(
    "/segments",
    operation_id="takeSegment",
    openapi_extra=takes_bytes(needs("federation"), media_type="application/octet-stream", what="A segment's bytes."),
)
async def take_segment(edge: TheEdge, request: Request, response: Response, caller: TheCaller) -> h.SegmentAnswer:
    """Enter what is new in a peer's segment: each message is decided once, whatever is sent again."""
    raw = await body_bytes(request, bytes_max=SEGMENT_BYTES_MAX)
    said = parse_segment(raw).statement
    payers = await run_in_threadpool(payers_in, edge, raw) if said.from_ == edge.identity.node else ()
    written = await write(edge, c.TakeSegment(by=actor(caller), raw=raw, payers=payers))
    outcome = written.outcome
    assert outcome is not None, "a segment has an outcome"
    if outcome.outcome == "recovered":
        await run_in_threadpool(repeat_all, edge, said.from_)
    response.headers["X-Position"] = str(written.entries[-1].n + 1 if written.entries else edge.length)
    return h.SegmentAnswer.model_validate(
        {
            "outcome": outcome.outcome,
            "high": outcome.high,
            "position": outcome.position,
            "code": outcome.code,
            "detail": outcome.detail,
            "heard": outcome.heard,
        }
    )


@router.get("/streams", operation_id="listStreams", openapi_extra=needs("federation", "operate", "audit:read"))
def list_streams(edge: TheEdge) -> h.Streams:
    """Whose journal this is, the registry that it accepted, and both streams with each peer."""
    identity = h.IdentityHeld(**edge.identity._asdict())
    with edge.writer.reading() as book:
        waiting = Counter(found.peer for found in book.open_transfers.values())
        return h.Streams(
            identity=identity,
            position=book.n,
            registry=_registry(book),
            streams=[_stream(book.peers[name], waiting[name]) for name in sorted(book.peers)],
        )


@router.post("/streams/{peer}/thaw", operation_id="thawStream", openapi_extra=needs("operate", keyed=True))
async def thaw_stream(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    peer: PeerPath,
    body: asked.NewThaw,
    response: Response,
    dry_run: TheDryRun,
) -> h.Thawed:
    """Take a peer's messages again after its stream was frozen as evidence: the reason stands in the journal."""
    head = command_head(caller, key, {"kind": "thaw", "peer": peer, "reason": body.reason})
    entry = only_entry(await write(edge, c.ThawPeer(**head, peer=peer, reason=body.reason), dry_run=dry_run))
    response.headers["X-Position"] = str(entry.n + 1)
    return h.Thawed(peer=peer, frozen=False)


def _registry(book: Book) -> h.RegistryHeld:
    return h.RegistryHeld(version=book.registry_version, sha256=book.registry_sha256)


def _stream(peer: PeerState, open_transfers: int) -> h.Stream:
    return h.Stream.model_validate(
        {
            "peer": peer.peer,
            "generation": peer.generation,
            "state": peer.state,
            "frozen": peer.frozen,
            "incoming": _mark(peer.incoming),
            "outgoing": _mark(peer.outgoing),
            "heard": peer.heard,
            "debt": peer.debt,
            "owe_limit": peer.owe_limit,
            "owed_limit": peer.owed_limit,
            "open_transfers": open_transfers,
            "endings": [{"generation": name, **_mark(head).model_dump()} for name, head in peer.endings.items()],
            "returning": _returning(peer),
        }
    )


def _returning(peer: PeerState) -> h.Returning | None:
    found = peer.returning
    if found is None:
        return None
    stage: Literal["recovers", "repeats", "takes"] = (
        "recovers" if found.until < 0 else "takes" if found.takes else "repeats"
    )
    return h.Returning(generation=found.generation, said=found.said.n, stage=stage)


def _mark(head: StreamHead) -> h.Mark:
    return h.Mark(n=head.n, chain=head.chain.hex())


@router.get(
    "/streams/{peer}/messages",
    operation_id="readMessages",
    openapi_extra=needs("federation"),
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "Messages, each ended by LF."}},
)
def read_messages(
    edge: TheEdge,
    peer: PeerPath,
    after: Annotated[int, Query(ge=0, le=2**53 - 1, description="Stream position of the last message had.")] = 0,
    limit: Annotated[int, Query(ge=1, le=SEGMENT_MESSAGES_MAX, description="Messages.")] = SEGMENT_MESSAGES_MAX,
) -> Response:
    """Our messages to a peer after a stream position; `X-Stream-Chain` is the chain value at that position."""
    with edge.writer.reading() as book:
        if peer not in book.peers:
            raise Refusal("peer_unknown")
        head, generation = book.peers[peer].outgoing, book.me.generation
    if after > head.n:
        raise EdgeProblem("not_found", f"The stream to {peer} ends at {head.n}.")
    index = edge.indexed()
    chain = _chain_at(
        edge.identity, peer, index.outs(peer, after=after - 1, limit=1, generation=generation) if after else []
    )
    outs = index.outs(peer, after=after, limit=limit, generation=generation)
    messages = b"".join(message + b"\n" for message in _messages(edge.writer.journal, outs))
    return Response(messages, media_type="application/octet-stream", headers={"X-Stream-Chain": chain.hex()})


def _chain_at(identity: Identity, peer: str, found: list[Out]) -> bytes:
    return found[0].chain if found else stream_start(identity, peer)


def _messages(journal: Journal, outs: list[Out]) -> Iterator[bytes]:
    if not outs:
        return
    first, count = outs[0].position, outs[-1].position - outs[0].position + 1
    if count <= NEAR_ENTRIES * len(outs):
        states = {record.position: record.state for record in journal.read(first, count)}
    else:
        states = {out.position: journal.read(out.position, 1)[0].state for out in outs}
    for out in outs:
        message = decode_entry(states[out.position]).out
        assert message is not UNSET, "the index names entries that send a message"
        yield bytes(message)


@router.get(
    "/streams/{peer}/kept",
    operation_id="readKept",
    openapi_extra=needs("federation"),
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "A segment, as it came."},
        204: {"description": "Nothing was taken after this position, or the generation is not closed here."},
    },
)
def read_kept(
    edge: TheEdge,
    peer: PeerPath,
    generation: Annotated[
        str, Query(pattern=asked.names.GENERATION_PATTERN, description="Closed here.", examples=["g1"])
    ],
    after: Annotated[int, Query(ge=0, le=2**53 - 1, description="Stream position of the last message had.")] = 0,
) -> Response:
    """What was taken of a peer's closed generation, for a peer that lost it: the segment after a stream position."""
    with edge.writer.reading() as book:
        known = book.peers.get(peer)
        if known is None:
            raise Refusal("peer_unknown")
        ending = known.endings.get(generation)
    segment = None if ending is None else edge.kept.after(peer, generation, after, last=ending.n)
    if segment is None:
        return Response(status_code=204)
    return Response(segment, media_type="application/octet-stream")


@router.get(
    "/positions",
    operation_id="listPositions",
    openapi_extra=needs("reports:read", "operate", "audit:read", "federation"),
)
def list_positions(edge: TheEdge) -> h.Positions:
    """This town's row of the matrix of positions: where it stands with each peer."""
    with edge.writer.reading() as book:
        rows = position_rows(book, edge.clock.now())
        debt, debt_limit = book.debt, book.debt_limit
    found = [h.PositionRow.model_validate(row._asdict()) for row in rows]
    return h.Positions(
        node=edge.identity.node,
        rows=found,
        debt=debt,
        debt_limit=debt_limit,
        warning=is_near(debt, debt_limit) or any(row.warning for row in rows),
    )


@router.put("/peers/{peer}", operation_id="changePeer", openapi_extra=needs("operate", "federation", keyed=True))
async def change_peer(
    edge: TheEdge,
    caller: TheCaller,
    key: TheKey,
    peer: PeerPath,
    body: asked.NewPeerPolicy,
    response: Response,
    dry_run: TheDryRun,
) -> h.PeerPolicy:
    """Replace this town's own policy about a peer: suspended or not, and its own limit beside the network's."""
    limit = {} if body.own_limit is None else {"own_limit": body.own_limit}
    head = command_head(caller, key, {"kind": "peer", "peer": peer, "suspended": body.suspended, **limit})
    command = c.ChangePeer(**head, peer=peer, own_limit=body.own_limit, suspended=body.suspended)
    entry = only_entry(await write(edge, command, dry_run=dry_run))
    assert isinstance(entry, e.PeerChanged)
    response.headers["X-Position"] = str(entry.n + 1)
    said = entry.data
    return h.PeerPolicy(
        peer=peer,
        state=said.state,
        owe_limit=said.owe_limit,
        owed_limit=said.owed_limit,
        own_limit=None if said.own_limit is UNSET else said.own_limit,
        suspended=said.suspended_here,
    )


@router.put(
    "/registry",
    operation_id="acceptRegistry",
    openapi_extra=takes_bytes(
        needs("operate", "federation", keyed=True),
        media_type="application/octet-stream",
        what="DSSE envelope of a registry.",
    ),
)
async def accept_registry(
    edge: TheEdge, request: Request, response: Response, caller: TheCaller, key: TheKey, dry_run: TheDryRun
) -> h.RegistryHeld:
    """Accept the next version of the registry; the one in force again changes nothing."""
    envelope = await body_bytes(request, bytes_max=REGISTRY_BYTES_MAX)
    digest = sha256(dsse.open_payload(envelope, payload_type=PAYLOAD_TYPE)).hexdigest()
    held = await run_in_threadpool(_held, edge)
    if held.sha256 == digest:
        response.headers["X-Position"] = str(edge.length)
        return held
    _check_first(edge, caller, held, digest)
    head = command_head(caller, key, {"kind": "registry", "sha256": digest})
    written = await write(edge, c.AcceptRegistry(**head, envelope=envelope), dry_run=dry_run)
    entry = written.entries[0]
    assert isinstance(entry, e.RegistryAcceptedEntry)
    stands = edge.length if written.repeated else written.entries[-1].n + 1
    response.headers["X-Position"] = str(stands)
    return h.RegistryHeld(version=entry.data.version, sha256=entry.data.sha256)


def _held(edge: Edge) -> h.RegistryHeld:
    with edge.writer.reading() as book:
        return _registry(book)


def _check_first(edge: Edge, caller: Caller, held: h.RegistryHeld, digest: str) -> None:
    """The first registry has no predecessor to judge it: its hash was pinned, or an operator answers for it."""
    pinned = edge.settings.registry_sha256
    if held.version or digest == pinned:
        return
    if pinned is not None:
        raise Refusal("registry_invalid", "The first registry is not the one whose hash this node was given.")
    if "operate" not in caller.scopes:
        raise Forbidden("An operator hands in the first registry; later ones prove themselves.")
