"""Signed notes: a published example, and every trap of the format refused."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from timebank_contracts.errors import Malformed
from timebank_contracts.keys import SigningKey
from timebank_contracts.note import (
    COSIGNATURE,
    NOTE_BYTES_MAX,
    VerifierKey,
    open_note,
    parse_vkey,
    sign_note,
    signature_line,
)

DASH = "\N{EM DASH} "
KEY = SigningKey(bytes([7]) * 32)
OTHER = SigningKey(bytes([8]) * 32)
NAME = "timebank.wales/barry/g1"
KNOWN = VerifierKey(NAME, KEY.public)
STRANGER = VerifierKey("example.org/stranger", OTHER.public)
TEXT = "one\n\ntwo\n"
NOTE = sign_note(TEXT, NAME, KEY)
LINE = NOTE[len(TEXT.encode()) + 1 :].decode()
BLOB = LINE.split(" ")[2].rstrip("\n")

# The example in the documentation of Go's package golang.org/x/mod/sumdb/note.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    f"{DASH}PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
).encode()


def _note(text: str, *lines: str) -> bytes:
    return (text + "\n" + "".join(lines)).encode()


def test_the_published_example_verifies_and_its_key_is_written_alike() -> None:
    key = parse_vkey(GO_VKEY)
    assert key.text == GO_VKEY
    note = open_note(GO_NOTE, [key])
    assert note.signed_by == (key,)
    assert note.text == GO_NOTE.decode().split("\n\n")[0] + "\n"


def test_a_note_is_what_the_format_says_byte_for_byte() -> None:
    hashed = sha256(NAME.encode() + b"\n\x01" + KEY.public).digest()[:4]
    blob = base64.b64encode(hashed + Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32).sign(TEXT.encode()))
    assert TEXT.encode() + b"\n\xe2\x80\x94 " + NAME.encode() + b" " + blob + b"\n" == NOTE
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(base64.b64decode(BLOB)[4:], TEXT.encode())
    assert KNOWN.text == f"{NAME}+{hashed.hex()}+{base64.b64encode(bytes([1]) + KEY.public).decode()}"


@given(st.text(st.characters(codec="utf-8", min_codepoint=32), max_size=80))
def test_every_text_opens_again(line: str) -> None:
    text = line + "\n"
    note = open_note(sign_note(text, NAME, KEY), [KNOWN])
    assert (note.text, note.signed_by, note.unknown) == (text, (KNOWN,), ())


@given(st.integers(0, len(NOTE) - 1), st.integers(0, 7))
def test_one_flipped_bit_leaves_no_note_that_the_known_key_signed(position: int, bit: int) -> None:
    spoilt = bytearray(NOTE)
    spoilt[position] ^= 1 << bit
    try:
        note = open_note(bytes(spoilt), [KNOWN])
    except Malformed:
        return
    assert note.signed_by == ()  # the name or the key id was hit: the line is of an unknown key


def test_the_text_ends_at_the_last_blank_line() -> None:
    inner = _note("forged\n", LINE).decode()
    outer = sign_note(inner, NAME, KEY)
    assert open_note(outer, [KNOWN]).text == inner


def test_lines_of_unknown_keys_are_kept_and_ignored() -> None:
    noise = f"{DASH}example.org/witness {base64.b64encode(b'12345').decode()}\n"
    note = open_note(_note(TEXT, noise, LINE, signature_line(STRANGER, bytes(64)).decode()), [KNOWN])
    assert note.signed_by == (KNOWN,)
    assert [(line.name, line.signature) for line in note.unknown] == [
        ("example.org/witness", b"5"),
        (STRANGER.name, bytes(64)),
    ]


def test_another_key_of_the_known_name_is_unknown() -> None:
    note = open_note(sign_note(TEXT, NAME, OTHER), [KNOWN])
    assert (note.signed_by, len(note.unknown)) == ((), 1)


def test_a_bad_signature_of_a_known_key_rejects_the_whole_note_beside_a_good_one() -> None:
    bad = signature_line(STRANGER, KEY.sign(TEXT.encode())).decode()
    raw = _note(TEXT, LINE, bad)
    assert open_note(raw, [KNOWN]).signed_by == (KNOWN,)
    with pytest.raises(Malformed, match="does not verify"):
        open_note(raw, [KNOWN, STRANGER])


def test_a_key_that_signs_twice_is_named_once() -> None:
    note = open_note(_note(TEXT, LINE, LINE), [KNOWN])
    assert note.signed_by == (KNOWN,)
    assert len(note.verified) == 2


def test_two_known_keys_of_one_name_and_key_id_are_refused() -> None:
    class Colliding(VerifierKey):
        key_id = KNOWN.key_id

    with pytest.raises(Malformed, match="one key id"):
        open_note(NOTE, [KNOWN, Colliding(NAME, OTHER.public)])
    assert open_note(NOTE, [KNOWN, KNOWN]).signed_by == (KNOWN,)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(TEXT.encode(), id="only text"),
        pytest.param(TEXT.encode() + b"\n", id="no signature"),
        pytest.param(NOTE[:-1], id="no line feed at the end"),
        pytest.param(NOTE + b"\n", id="a blank line at the end"),
        pytest.param(NOTE + b"more\n", id="text behind the signatures"),
        pytest.param(NOTE + b"\nmore\n", id="text behind another blank line"),
        pytest.param(NOTE.replace(b"\n", b"\r\n"), id="carriage returns"),
        pytest.param(_note(TEXT, LINE[:-1] + "\r\n"), id="a carriage return behind a signature"),
        pytest.param(_note(TEXT, LINE[:-1] + "\x0b" + LINE), id="a vertical tab between lines"),
        pytest.param(_note(TEXT, LINE[:-1] + "\x85" + LINE), id="a NEL between lines"),
        pytest.param(_note(TEXT, LINE[:-1] + "\u2028" + LINE), id="a line separator between lines"),
        pytest.param(_note("tab\there\n", LINE), id="a tab in the text"),
        pytest.param(_note("nul\x00\n", LINE), id="a zero byte in the text"),
        pytest.param(NOTE.replace(b"two", b"t\xffo"), id="no UTF-8"),
        pytest.param(_note(TEXT, LINE.replace("\N{EM DASH}", "-")), id="a hyphen for the dash"),
        pytest.param(_note(TEXT, LINE.replace(DASH, "\N{EM DASH}")), id="no blank behind the dash"),
        pytest.param(_note(TEXT, LINE.replace(DASH, DASH + " ")), id="two blanks behind the dash"),
        pytest.param(_note(TEXT, f"{DASH}{NAME}  {BLOB}\n"), id="two blanks behind the name"),
        pytest.param(_note(TEXT, f"{DASH}{NAME} {BLOB} \n"), id="a blank at the end"),
        pytest.param(_note(TEXT, f"{DASH}{NAME}\n"), id="a name only"),
        pytest.param(_note(TEXT, f"{DASH}{NAME} \n"), id="an empty signature"),
        pytest.param(_note(TEXT, f"{DASH} {BLOB}\n"), id="an empty name"),
        pytest.param(_note(TEXT, f"{DASH}a+b {BLOB}\n"), id="a plus sign in a name"),
        pytest.param(_note(TEXT, f"{DASH}a\u00a0b {BLOB}\n"), id="a no-break space in a name"),
        pytest.param(_note(TEXT, f"{DASH}{'n' * 256} {BLOB}\n"), id="a name too long"),
        pytest.param(_note(TEXT, f"{DASH}x AAAAAA==\n"), id="a key id only"),
        pytest.param(_note(TEXT, f"{DASH}{NAME} {BLOB[:-1]}\n"), id="base64 without padding"),
        pytest.param(_note(TEXT, f"{DASH}x QUJDREVG!!\n"), id="garbage in base64"),
        pytest.param(_note(TEXT, f"{DASH}x QUJDREV=\n"), id="base64 with bits behind its end"),
        pytest.param(_note(TEXT, *[LINE] * 101), id="101 signatures"),
        pytest.param(sign_note("x" * NOTE_BYTES_MAX + "\n", NAME, KEY), id="too large"),
    ],
)
def test_a_note_of_another_form_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        open_note(raw, [KNOWN])


def test_a_hundred_signatures_are_read() -> None:
    assert len(open_note(_note(TEXT, *[LINE] * 100), [KNOWN]).verified) == 100


@pytest.mark.parametrize("text", ["", "no line feed", "tab\t\n", "cr\r\n"])
def test_a_text_that_could_not_be_read_is_not_signed(text: str) -> None:
    with pytest.raises(Malformed):
        sign_note(text, NAME, KEY)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b", "n" * 256])
def test_a_name_that_could_not_be_read_signs_nothing(name: str) -> None:
    with pytest.raises(Malformed):
        sign_note(TEXT, name, KEY)


def test_the_longest_origin_can_sign_and_be_known() -> None:
    name = f"{'a' * 62}.{'b' * 63}.{'c' * 62}/{'d' * 31}/g999999"
    key = VerifierKey(name, KEY.public)
    assert open_note(sign_note(TEXT, name, KEY), [parse_vkey(key.text)]).signed_by == (key,)


@pytest.mark.parametrize("key", [KNOWN, VerifierKey("example.org/w", OTHER.public, COSIGNATURE)])
def test_a_verifier_key_reads_what_it_wrote(key: VerifierKey) -> None:
    assert parse_vkey(key.text) == parse_vkey(key.text + "\n") == key


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(KNOWN.text + "\n\n", id="a blank line behind"),
        pytest.param(" " + KNOWN.text, id="a blank before"),
        pytest.param(KNOWN.text.replace(KNOWN.key_id.hex(), KNOWN.key_id.hex().upper()), id="upper case"),
        pytest.param(KNOWN.text.replace(KNOWN.key_id.hex(), "00000000"), id="another key id"),
        pytest.param(KNOWN.text.replace("barry", "barri"), id="another name"),
        pytest.param(KNOWN.text + "+", id="a part more"),
        pytest.param(KNOWN.text[:-4], id="a short key"),
        pytest.param(VerifierKey(NAME, KEY.public, 6).text, id="another type"),
        pytest.param(VerifierKey(NAME, bytes(32)).text, id="a weak key"),
        pytest.param(VerifierKey("a\x00b", KEY.public).text, id="a zero byte in the name"),
    ],
)
def test_a_verifier_key_of_another_form_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_vkey(text)
