"""What a log asks of a witness, and what the witness answers: C2SP tlog-witness. Pure.

    old 17                                   the size that the witness cosigned last, as the log believes
    base64 of a hash                         0 to 63 lines: the consistency proof from there
                                             an empty line
    the checkpoint, a signed note

The answer is 200 with cosignature lines, or 409 with the size that the witness cosigned last (`text/x.tlog.size`).
Source: c2sp.org/tlog-witness; design page 2, "Witnessing"; PROTOCOL.md V1 and V2.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from timebank_contracts.checkpoint import parse_decimal
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode, b64_encode
from timebank_contracts.merkle import HASH_BYTES
from timebank_contracts.note import COSIGNATURE, NOTE_BYTES_MAX, VerifierKey, open_note

PROOF_LINES_MAX: Final = 63
REQUEST_BYTES_MAX: Final = NOTE_BYTES_MAX + 4_096
"""A note, and the lines before it."""
ANSWER_BYTES_MAX: Final = 8_192
SIZE_TYPE: Final = "text/x.tlog.size"
ADD_CHECKPOINT: Final = "/add-checkpoint"


class WitnessRequest(NamedTuple):
    """`note` is a checkpoint that is said to continue the log's first `old` entries."""

    old: int
    proof: list[bytes]
    note: bytes


def make_request(request: WitnessRequest) -> bytes:
    """The body of a request; its numbers are the caller's own."""
    assert request.old >= 0
    assert len(request.proof) <= PROOF_LINES_MAX
    lines = [f"old {request.old}", *(b64_encode(step) for step in request.proof), "", ""]
    return "\n".join(lines).encode("ascii") + request.note


def parse_request(raw: bytes) -> WitnessRequest:
    """Take a request's body apart; the note in it is not opened.

    Raises:
        Malformed: too large, another form, more than 63 lines of proof, or a proof from 0 that is not empty.
    """
    if len(raw) > REQUEST_BYTES_MAX:
        raise Malformed(f"A request to a witness has at most {REQUEST_BYTES_MAX} bytes.")
    head, blank, note = raw.partition(b"\n\n")
    if not blank or not note:
        raise Malformed("A request to a witness has an empty line, then the checkpoint.")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Malformed("The lines before the checkpoint are ASCII.") from error
    if not lines[0].startswith("old "):
        raise Malformed("A request to a witness begins with `old` and a size.")
    old = parse_decimal(lines[0].removeprefix("old "))
    if len(lines) - 1 > PROOF_LINES_MAX:
        raise Malformed(f"A consistency proof has at most {PROOF_LINES_MAX} lines.")
    proof = [b64_decode(line) for line in lines[1:]]
    if any(len(step) != HASH_BYTES for step in proof):
        raise Malformed(f"A hash of a proof has {HASH_BYTES} bytes.")
    if old == 0 and proof:
        raise Malformed("From size 0 there is no proof.")
    return WitnessRequest(old, proof, note)


def parse_size(raw: bytes) -> int:
    """The size in the body of a 409: a number and a line feed; raises `Malformed`."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise Malformed("A size is written in ASCII.") from error
    if not text.endswith("\n"):
        raise Malformed("A size ends with a line feed.")
    return parse_decimal(text[:-1])


def cosignature_lines(note: bytes, answer: bytes, witness: VerifierKey) -> bytes:
    """The lines of an answer that are this witness's over this note; what else the answer holds is left away.

    Args:
        note: the checkpoint that was asked about.
        answer: what came back.
        witness: a key of type cosignature/v1.

    Raises:
        Malformed: no signature lines, none of this witness, or one of it that does not verify.
    """
    assert witness.kind == COSIGNATURE
    text, blank, _ = note.partition(b"\n\n")
    if len(answer) > ANSWER_BYTES_MAX:
        raise Malformed(f"A witness answers at most {ANSWER_BYTES_MAX} bytes.")
    open_note(text + blank + answer, [witness])
    own = f"\N{EM DASH} {witness.name} ".encode()
    lines = [line + b"\n" for line in answer.split(b"\n") if line.startswith(own)]
    verified = [line for line in lines if open_note(text + blank + line, [witness]).signed_by]
    if not verified:
        raise Malformed(f"The answer holds no cosignature of {witness.name}.")
    return verified[-1]


def witnessed_path(origin: str) -> str:
    """Where a witness shows the latest checkpoint of an origin that it cosigned, after its prefix."""
    return f"/witnessed/{sha256(origin.encode()).hexdigest()}/checkpoint"
