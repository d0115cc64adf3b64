"""A witness: cosigns the checkpoints of logs that grow, and keeps the proof when one does not.

    request ── form ── origin known? ── signed by its log key? ── continues what was cosigned? ──▶ kept, then signed

What it cosigned last of an origin is one file, replaced whole and durably before the answer: a crash at any moment
leaves the old state or the new, and an answer that nobody got is given again. There is no copy in memory.
A witness whose folder was restored from a backup would sign backwards: it needs a new key instead.
Source: c2sp.org/tlog-witness; design page 2, "Witnessing"; PROTOCOL.md V1 to V4, V6.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import UNSET

from timebank_contracts.checkpoint import Checkpoint, cosign, open_checkpoint, parse_checkpoint
from timebank_contracts.equivocation import encode_evidence, two_checkpoints
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey, b64_decode, b64_encode
from timebank_contracts.merkle import EMPTY_ROOT, is_consistent
from timebank_contracts.names import Identity
from timebank_contracts.note import COSIGNATURE, VerifierKey, open_note, signature_line
from timebank_contracts.registry import Registry
from timebank_contracts.registry import Witness as RegisteredWitness
from timebank_contracts.witness_request import WitnessRequest, parse_request
from timebank_kit.clock import Clock
from timebank_kit.files import atomic_write
from timebank_kit.rate_limit import RateLimit

ASKED_PER_SECOND: Final = 1.0
ASKED_BURST: Final = 10
"""For each size of each log: whoever repeats an old checkpoint uses up that one's requests only."""
EVIDENCE_FILES_MAX: Final = 1_000
_log = logging.getLogger(__name__)


class WitnessRefused(Exception):
    """The request is not answered with a cosignature.

    Args:
        code: of the problem that is answered.
        detail: what was expected.
        size: what was cosigned last, where that is the answer (409).
        seconds: after which to come again (429).
    """

    def __init__(self, code: str, detail: str, *, size: int | None = None, seconds: int = 0) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.size = size
        self.seconds = seconds


class _Known(NamedTuple):
    """What was cosigned last of an origin: nothing yet is the empty log."""

    size: int
    root: bytes
    at_seconds: int
    note: bytes


def registered_witnesses(registry: Registry | None) -> list[RegisteredWitness]:
    """The witnesses that a registry names."""
    return [] if registry is None or registry.witnesses is UNSET else registry.witnesses


def log_keys_of(registry: Registry | None, origin: str) -> list[VerifierKey]:
    """The keys that may sign checkpoints of an origin: those of its node's open generation; none: not known."""
    if registry is None:
        return []
    for node in registry.nodes:
        if node.state != "closed" and origin == Identity(registry.network, node.node, node.generation).origin:
            return [VerifierKey(origin, b64_decode(key)) for key in node.log_keys]
    return []


class Witness:
    """Cosigns; any thread may ask.

    Args:
        key: signs cosignatures and nothing else.
        folder: keeps what was cosigned, and evidence; made when it is missing.
        registry: gives the registry in force, which names the logs, their keys, and this witness.
        clock: for the time of cosignatures, and the pace.
        write: replaces a file whole and durably.
    """

    def __init__(
        self,
        *,
        key: SigningKey,
        folder: Path,
        registry: Callable[[], Registry | None],
        clock: Clock,
        write: Callable[[Path, bytes], None] = atomic_write,
    ) -> None:
        self._key = key
        self._folder = folder
        self._registry = registry
        self._clock = clock
        self._write = write
        self._lock = threading.Lock()
        self._rates = RateLimit(per_second=ASKED_PER_SECOND, burst=ASKED_BURST)
        self.counts: Counter[str] = Counter()
        """Requests by outcome: `cosigned`, or the code of the refusal."""
        (folder / "evidence").mkdir(parents=True, exist_ok=True)

    @property
    def key(self) -> str:
        """Its public key (base64)."""
        return b64_encode(self._key.public)

    @property
    def name(self) -> str | None:
        """As the registry names it; None: it does not."""
        return next((one.name for one in registered_witnesses(self._registry()) if one.key == self.key), None)

    @property
    def evidence(self) -> list[Path]:
        """The files that prove that a log has forked."""
        return sorted((self._folder / "evidence").glob("*.json"))

    def add_checkpoint(self, raw: bytes) -> bytes:
        """The cosignature line for the checkpoint in a request.

        Raises:
            WitnessRefused: there is none; it says which answer there is.
            OSError: the disk does not take it; nothing was signed.
        """
        try:
            line = self._judged(raw)
        except WitnessRefused as refused:
            self.counts[refused.code] += 1
            raise
        self.counts["cosigned"] += 1
        return line

    def latest(self, digest: str) -> bytes | None:
        """The latest note that was cosigned of the origin with this SHA-256 (hex), None for none."""
        path = self._folder / f"{digest}.note"
        return path.read_bytes() if path.exists() else None

    def _judged(self, raw: bytes) -> bytes:
        name = self.name
        if name is None:
            raise WitnessRefused("not_ready", "The registry that is held here does not name this witness.")
        try:
            request = parse_request(raw)
            checkpoint = parse_checkpoint(open_note(request.note, []).text)
        except Malformed as error:
            raise WitnessRefused("malformed", str(error)) from error
        key = self._signer(request.note, checkpoint.origin)
        seconds = self._rates.take(f"{checkpoint.origin} {checkpoint.size}", now=self._clock.monotonic())
        if seconds:
            raise WitnessRefused("rate_limited", "This checkpoint was asked about too often.", seconds=ceil(seconds))
        if request.old > checkpoint.size:
            raise WitnessRefused("malformed", "The old size is above the checkpoint's.")
        with self._lock:
            known = self._known(checkpoint.origin, key)
            self._check(request, checkpoint, known, key)
            return self._sign(request, checkpoint, known, key, VerifierKey(name, self._key.public, COSIGNATURE))

    def _signer(self, note: bytes, origin: str) -> VerifierKey:
        keys = log_keys_of(self._registry(), origin)
        if not keys:
            raise WitnessRefused("not_found", "The registry that is held here names no open log of this origin.")
        for key in keys:
            try:
                open_checkpoint(note, key)
            except Malformed:
                continue
            return key
        raise WitnessRefused("forbidden", "No log key that the registry names signed the checkpoint.")

    def _known(self, origin: str, key: VerifierKey) -> _Known:
        note = self.latest(_digest(origin))
        if note is None:
            return _Known(0, EMPTY_ROOT, 0, b"")
        opened = open_note(note, [])
        found = parse_checkpoint(opened.text)
        if found.origin != origin:
            raise WitnessRefused("not_ready", "What was cosigned of this log is damaged here; nothing is signed.")
        own = [line for line in opened.unknown if len(line.signature) == 72]
        times = [int.from_bytes(line.signature[:8], "big") for line in own]
        return _Known(found.size, found.root, max(times, default=0), note)

    def _check(self, request: WitnessRequest, checkpoint: Checkpoint, known: _Known, key: VerifierKey) -> None:
        if known.size == checkpoint.size and known.root != checkpoint.root:
            self._keep_evidence(request, known, key)
            raise WitnessRefused("proof_invalid", "Another root of this size was cosigned.", size=known.size)
        if request.old != known.size:
            raise WitnessRefused("proof_invalid", "Another size was cosigned last.", size=known.size)
        if not is_consistent(known.size, known.root, checkpoint.size, checkpoint.root, request.proof):
            self._keep_evidence(request, known, key)
            raise WitnessRefused("proof_invalid", "The proof does not lead from what was cosigned to this checkpoint.")

    def _sign(
        self, request: WitnessRequest, checkpoint: Checkpoint, known: _Known, key: VerifierKey, me: VerifierKey
    ) -> bytes:
        at_seconds = max(int(self._clock.now().timestamp()), known.at_seconds)
        line = cosign(checkpoint, name=me.name, key=self._key, at_seconds=at_seconds)
        opened = open_note(request.note, [key])
        logs = b"".join(signature_line(key, found.signature) for _, found in opened.verified[:1])
        self._write(self._folder / f"{_digest(checkpoint.origin)}.note", f"{opened.text}\n".encode() + logs + line)
        return line

    def _keep_evidence(self, request: WitnessRequest, known: _Known, key: VerifierKey) -> None:
        """A proof that leads elsewhere shows what the log's beginning is there; without one, nothing is proved."""
        if not known.note:
            return
        try:
            found = two_checkpoints(key, known.note, request.note, proof=request.proof)
        except Malformed:
            return  # The log key was another one when that was cosigned.
        if found is None or len(self.evidence) >= EVIDENCE_FILES_MAX:
            return
        raw = encode_evidence(found)
        path = self._folder / "evidence" / f"{sha256(raw).hexdigest()[:16]}.json"
        if not path.exists():
            self._write(path, raw)
            _log.critical("a log has forked", extra={"origin": key.name, "evidence": path.name})


def _digest(origin: str) -> str:
    return sha256(origin.encode()).hexdigest()
