"""Checkpoints and cosignatures: exact bytes, strict reading, one name for key and log."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.checkpoint import (
    Checkpoint,
    checkpoint_text,
    cosign,
    open_checkpoint,
    open_cosignatures,
    parse_checkpoint,
    parse_decimal,
    sign_checkpoint,
    with_cosignatures,
)
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey
from timebank_contracts.merkle import EMPTY_ROOT
from timebank_contracts.note import COSIGNATURE, VerifierKey, open_note, sign_note, signature_line

ORIGIN = "timebank.wales/barry/g1"
KEY = SigningKey(bytes([1]) * 32)
LOG = VerifierKey(ORIGIN, KEY.public)
CHECKPOINT = Checkpoint(ORIGIN, 1234, sha256(b"root").digest())
TEXT = checkpoint_text(CHECKPOINT)
ROOT = TEXT.split("\n")[2]
NOTE = sign_checkpoint(CHECKPOINT, KEY)

WITNESS_KEY = SigningKey(bytes([2]) * 32)
WITNESS = VerifierKey("witness.example.org/w1", WITNESS_KEY.public, COSIGNATURE)
NOON = 1_790_000_000


def _cosigned(at_seconds: int = NOON) -> bytes:
    return cosign(CHECKPOINT, name=WITNESS.name, key=WITNESS_KEY, at_seconds=at_seconds)


@given(size=st.integers(0, 2**53), root=st.binary(min_size=32, max_size=32))
def test_a_signed_checkpoint_opens_again(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert open_checkpoint(sign_checkpoint(checkpoint, KEY), LOG) == checkpoint


def test_a_checkpoint_is_what_the_format_says_byte_for_byte() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert checkpoint_text(empty) == f"{ORIGIN}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    assert NOTE.decode().startswith(f"{ORIGIN}\n1234\n{ROOT}\n\n\N{EM DASH} {ORIGIN} ")


def test_a_checkpoint_signed_under_another_name_is_refused() -> None:
    for name in ("timebank.wales/barri/g1", "timebank.wales/barry", "timebank.wales/barry/g2"):
        note = sign_note(TEXT, name, KEY)
        with pytest.raises(Malformed, match="not signed"):
            open_checkpoint(note, LOG)
        with pytest.raises(Malformed, match="the key of"):
            open_checkpoint(note, VerifierKey(name, KEY.public))


def test_a_checkpoint_signed_by_another_key_is_refused() -> None:
    with pytest.raises(Malformed, match="not signed"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, WITNESS_KEY), LOG)


def test_further_unknown_signatures_are_ignored() -> None:
    stranger = VerifierKey("example.org/x", WITNESS_KEY.public)
    assert open_checkpoint(NOTE + signature_line(stranger, bytes(64)) + _cosigned(), LOG) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{ORIGIN}\n1234\n", id="no root"),
        pytest.param(TEXT + "extension\n", id="an extension line"),
        pytest.param(TEXT + "\n", id="a blank line"),
        pytest.param(TEXT[:-1], id="no line feed at the end"),
        pytest.param(TEXT.replace("\n", "\x0b"), id="vertical tabs for line feeds"),
        pytest.param(TEXT.replace("\n", "\u2028"), id="line separators for line feeds"),
        pytest.param(TEXT.replace("\n", "\r\n"), id="carriage returns"),
        pytest.param(TEXT.replace(ROOT, ROOT[:-1]), id="base64 without padding"),
        pytest.param(TEXT.replace(ROOT, "QQ=="), id="a short root"),
        pytest.param(TEXT.replace(ROOT, ROOT[:-2] + chr(ord(ROOT[-2]) + 1) + "="), id="bits behind the root"),
        pytest.param(TEXT.replace(ORIGIN, ""), id="no origin"),
        pytest.param(TEXT.replace(ORIGIN, "timebank.wales/barry"), id="an origin without generation"),
        pytest.param(TEXT.replace(ORIGIN, ORIGIN + " "), id="a blank behind the origin"),
    ],
)
def test_a_checkpoint_text_of_another_form_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_checkpoint(text)


NOT_DECIMAL = ["", "01", "00", "-1", "+5", " 5", "5 ", "1_000", "٣", "５", "1.0", "1e3", "0x5", "5\n", "1" * 20]


@pytest.mark.parametrize("size", NOT_DECIMAL)
def test_a_number_in_any_but_the_one_form_is_refused(size: str) -> None:
    with pytest.raises(Malformed):
        parse_decimal(size)
    with pytest.raises(Malformed):
        parse_checkpoint(TEXT.replace("1234", size))


@given(st.integers(0, 10**19 - 1))
def test_a_number_reads_as_it_is_written(number: int) -> None:
    assert parse_decimal(str(number)) == number


def test_a_cosignature_is_what_the_format_says_byte_for_byte() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes([2]) * 32)
    hashed = sha256(WITNESS.name.encode() + b"\n\x04" + WITNESS.public).digest()[:4]
    signature = other.sign(f"cosignature/v1\ntime {NOON}\n{TEXT}".encode())
    blob = base64.b64encode(hashed + NOON.to_bytes(8, "big") + signature).decode()
    assert _cosigned() == f"\N{EM DASH} {WITNESS.name} {blob}\n".encode()


def test_the_published_example_of_a_cosignature_shows_its_time() -> None:
    """The example of c2sp.org/tlog-cosignature; its keys are not published, so only its form is read."""
    raw = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+"
        "zyWE+xeMcTOAYQ8=\n"
        "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
        "qhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    line = open_note(raw.encode(), []).unknown[1]
    assert int.from_bytes(line.signature[:8], "big") == 1_679_315_147
    assert len(line.signature) == 72


def test_a_cosigned_checkpoint_names_its_witness_and_time() -> None:
    assert open_cosignatures(NOTE + _cosigned(), LOG, [WITNESS]) == {WITNESS: NOON}
    assert open_cosignatures(NOTE, LOG, [WITNESS]) == {}


def test_of_two_cosignatures_of_one_witness_the_latest_time_counts() -> None:
    raw = NOTE + _cosigned(NOON) + _cosigned(NOON - 60)
    assert open_cosignatures(raw, LOG, [WITNESS]) == {WITNESS: NOON}


def _line(blob: bytes) -> bytes:
    return signature_line(WITNESS, blob)


_SIGNED = base64.b64decode(_cosigned().split(b" ")[2])[4:]


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param((NOON + 1).to_bytes(8, "big") + _SIGNED[8:], id="another time"),
        pytest.param(_SIGNED[8:], id="no time"),
        pytest.param(b"\x00", id="one byte"),
        pytest.param(_SIGNED + b"\x00", id="a byte more"),
        pytest.param(
            (1 << 63).to_bytes(8, "big") + WITNESS_KEY.sign(f"cosignature/v1\ntime {1 << 63}\n{TEXT}".encode()),
            id="a time of 2^63",
        ),
        pytest.param(WITNESS_KEY.sign(TEXT.encode()), id="a plain signature"),
        pytest.param(
            NOON.to_bytes(8, "big") + WITNESS_KEY.sign(f"cosignature/v1\ntime 0{NOON}\n{TEXT}".encode()),
            id="a leading zero",
        ),
    ],
)
def test_a_cosignature_that_does_not_verify_rejects_the_note(blob: bytes) -> None:
    with pytest.raises(Malformed, match="does not verify"):
        open_cosignatures(NOTE + _line(blob), LOG, [WITNESS])


def test_a_cosignature_of_another_checkpoint_is_refused() -> None:
    older = cosign(CHECKPOINT._replace(size=1233), name=WITNESS.name, key=WITNESS_KEY, at_seconds=NOON)
    with pytest.raises(Malformed, match="does not verify"):
        open_cosignatures(NOTE + older, LOG, [WITNESS])


def test_cosignatures_without_the_logs_own_signature_are_refused() -> None:
    with pytest.raises(Malformed, match="not signed"):
        open_cosignatures(TEXT.encode() + b"\n" + _cosigned(), LOG, [WITNESS])


def test_one_key_in_two_roles_is_refused() -> None:
    twin = VerifierKey("witness.example.org/w2", WITNESS.public, COSIGNATURE)
    as_log = VerifierKey("witness.example.org/w3", KEY.public, COSIGNATURE)
    for witnesses in ([WITNESS, twin], [as_log]):
        with pytest.raises(Malformed, match="One key cannot be"):
            open_cosignatures(NOTE, LOG, witnesses)


def test_a_log_key_is_no_witness_key() -> None:
    with pytest.raises(Malformed, match="type 4"):
        open_cosignatures(NOTE, LOG, [VerifierKey("example.org/x", WITNESS.public)])


def test_a_cosignature_under_the_logs_name_is_no_signature_of_the_log() -> None:
    posing = VerifierKey(ORIGIN, WITNESS.public, COSIGNATURE)
    raw = TEXT.encode() + b"\n" + cosign(CHECKPOINT, name=ORIGIN, key=WITNESS_KEY, at_seconds=NOON)
    assert open_note(raw, [posing]).signed_by == (posing,)
    with pytest.raises(Malformed, match="type 1"):
        open_checkpoint(raw, posing)


def test_lines_over_the_same_text_are_gathered_one_for_each_name_and_no_more_than_a_note_has() -> None:
    others = [NOTE + cosign(CHECKPOINT, name=f"w{number}", key=WITNESS_KEY, at_seconds=NOON) for number in range(120)]
    again = NOTE + cosign(CHECKPOINT, name="w0", key=WITNESS_KEY, at_seconds=NOON + 1)
    later = sign_checkpoint(CHECKPOINT._replace(size=1235), KEY)
    two = with_cosignatures(NOTE, [later, others[0], again, others[1]])
    assert two == others[0] + others[1].removeprefix(NOTE)
    assert with_cosignatures(NOTE, [later]) == NOTE
    assert len(open_note(with_cosignatures(NOTE, others), [LOG]).unknown) == 99
