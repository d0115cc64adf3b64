"""Whatever bytes an enemy hands in: a parser takes them or says Malformed, and the auditor never fails by itself.

`make fuzz` runs the same with more examples.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.audit.given_out import figures, policy_text, statement, trial
from tests.audit.season import season
from timebank_audit.bundle import check_bundle, parse_sums
from timebank_audit.cli import app
from timebank_audit.earlier import read_earlier
from timebank_audit.export import export
from timebank_audit.files import MANIFEST
from timebank_audit.findings import Findings
from timebank_audit.policy import parse_policy
from timebank_audit.receipt_check import check_receipt, parse_proof
from timebank_audit.receipts import make_receipt, read_receipt, write_receipt
from timebank_audit.report import make_report
from timebank_audit.stores import Archive, Folder
from timebank_audit.verify import verify
from timebank_contracts.checkpoint import parse_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.keys import b64_decode
from timebank_contracts.note import open_note, parse_vkey
from timebank_contracts.segments import parse_segment
from timebank_contracts.tiles import decode_bundle, parse_tile_path

EXAMPLES = int(os.environ.get("TIMEBANK_FUZZ_EXAMPLES", "40"))


@lru_cache(maxsize=1)
def good() -> dict[str, bytes]:
    """A good input of every parser."""
    network = season()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = network.export(folder / "out")
        export([out], folder / "b", tar=False)
        export([out / "barry"], folder / "b.tar", tar=True)
        audit = verify([out])
        receipt = make_receipt({town.node: town for town in audit.towns}, "aberdare.g1.barry.1")
        town = network.towns["barry"]
        return {
            "sums": (folder / "b/SHA256SUMS").read_bytes(),
            "manifest": (folder / "b/manifest.json").read_bytes(),
            "archive": (folder / "b.tar").read_bytes(),
            "policy": policy_text(network).encode(),
            "receipt": write_receipt(receipt),
            "proof": b64_decode(receipt.proved.proof),
            "report": json.dumps(make_report(audit, version="test")).encode(),
            "note": town.note(),
            "vkey": (out / "barry/vkey").read_bytes(),
            "segment": network.towns["aberdare"].segment("barry", after=0),
            "entries": next((out / "barry/tile/entries").glob("000.p/*")).read_bytes(),
            "path": b"tile/entries/x001/234.p/7",
            "statement": json.dumps(statement(town, "alys", 0, 9)).encode(),
            "figure": json.dumps(trial(town, 9)).encode(),
        }


def as_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A parser of files, given bytes."""

    def parse(raw: bytes) -> object:
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "input.json"
            file.write_bytes(raw)
            return read(file)

    return parse


def read_manifest_of(raw: bytes) -> object:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / MANIFEST).write_bytes(raw)
        (Path(name) / "SHA256SUMS").write_bytes(b"")
        check_bundle(Folder(Path(name)), Findings())
    return None


def judge(raw: bytes) -> object:
    return check_receipt(read_receipt(raw), log_keys={})


PARSERS: dict[str, Callable[[bytes], object]] = {
    "sums": parse_sums,
    "manifest": read_manifest_of,
    "archive": as_file(Archive),
    "policy": lambda raw: parse_policy(raw.decode("utf-8", errors="replace")),
    "receipt": judge,
    "proof": parse_proof,
    "report": as_file(read_earlier),
    "note": lambda raw: parse_checkpoint(open_note(raw, []).text),
    "vkey": lambda raw: parse_vkey(raw.decode("utf-8", errors="replace")),
    "segment": parse_segment,
    "entries": decode_bundle,
    "path": lambda raw: parse_tile_path(raw.decode("utf-8", errors="replace")),
}

edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert", "double", "end"]),
        st.integers(0, 2**20),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=6,
)


def edited(raw: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for how, where, what in changes:
        at = where % (len(raw) + 1)
        match how:
            case "set":
                raw = raw[:at] + what + raw[at + len(what) :]
            case "cut":
                raw = raw[:at] + raw[at + len(what) * 8 :]
            case "insert":
                raw = raw[:at] + what + raw[at:]
            case "double":
                raw = raw[:at] + raw[at : at + 64] + raw[at:]
            case "end":
                raw = raw[:at]
    return raw


@pytest.mark.parametrize("name", sorted(PARSERS))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=edits)
def test_a_parser_takes_bytes_or_says_malformed(name: str, changes: list[tuple[str, int, bytes]]) -> None:
    parse = PARSERS[name]
    parse(good()[name])
    with suppress(Malformed):
        parse(edited(good()[name], changes))


FILES = (
    "checkpoint",
    "vkey",
    "registry/1.json",
    "registry/2.json",
    "tile/0",
    "tile/entries",
    "statements/s.json",
    "figures/f.json",
    "figures/hours.json",
    "segments/s",
    "notes/n",
    "checkpoints/c",
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three towns with everything that an export may hold."""
    network = season()
    town = network.towns["barry"]
    town.extras |= {"statements/s.json": good()["statement"], "figures/f.json": good()["figure"]}
    town.extras |= {"segments/s": good()["segment"], "checkpoints/c": town.note(12)}
    town.extras["notes/n"] = network.towns["aberdare"].note(12)
    town.extras["figures/hours.json"] = json.dumps(figures(town, len(town.raws))).encode()
    return network.export(tmp_path_factory.mktemp("exported"))


@settings(max_examples=max(25, EXAMPLES // 2), deadline=None)
@given(file=st.sampled_from(FILES), changes=edits)
def test_whatever_is_changed_in_an_export_the_auditor_itself_does_not_fail(
    exported: Path, file: str, changes: list[tuple[str, int, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        town = Path(name) / "barry"
        shutil.copytree(exported, name, dirs_exist_ok=True)
        path = town / file
        if path.is_dir():
            path = next(found for found in path.rglob("*") if found.is_file())
        before = path.read_bytes()
        path.write_bytes(edited(before, changes))
        result = CliRunner().invoke(app, ["verify", name])
        assert "The auditor itself failed" not in result.output, result.output
        assert result.exit_code in (0, 1, 2, 3)
        if file in ("checkpoint", "tile/entries") and path.read_bytes() != before:
            assert result.exit_code != 0, "what was signed was changed"
