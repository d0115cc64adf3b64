"""Input made by an enemy, and input that is none: a clear sentence and exit code 2, never PASS, never a crash."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.audit.builder import key
from tests.audit.season import season
from timebank_audit.cli import app
from timebank_contracts.checkpoint import Checkpoint, sign_checkpoint
from timebank_contracts.merkle import EMPTY_ROOT
from timebank_contracts.note import VerifierKey

ORIGIN = "timebank.wales/barry/g1"


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", *map(str, arguments)])
    return result.exit_code, result.output


def export(directory: Path) -> Path:
    season().export(directory)
    return directory / "barry"


def link_checkpoint(town: Path) -> None:
    (town / "checkpoint").rename(town / "elsewhere")
    (town / "checkpoint").symlink_to("elsewhere")


def link_folder(town: Path) -> None:
    (town / "tile").rename(town / "elsewhere")
    (town / "tile").symlink_to("elsewhere")


def pipe_as_vkey(town: Path) -> None:
    (town / "vkey").unlink()
    os.mkfifo(town / "vkey")


def large_checkpoint(town: Path) -> None:
    with (town / "checkpoint").open("ab") as file:
        file.truncate(1 << 40)


def large_bundle(town: Path) -> None:
    with next((town / "tile/entries").glob("000.p/*")).open("ab") as file:
        file.truncate(1 << 40)


def folder_as_tile(town: Path) -> None:
    tile = next((town / "tile/0").glob("000.p/*"))
    tile.unlink()
    tile.mkdir()


def spaced_size(town: Path) -> None:
    note = (town / "checkpoint").read_bytes()
    (town / "checkpoint").write_bytes(note.replace(b"\n33\n", b"\n3_3\n"))


def traversing_origin(town: Path) -> None:
    note = (town / "checkpoint").read_bytes()
    (town / "checkpoint").write_bytes(note.replace(b"timebank.wales/barry/g1\n33", b"../../etc/barry/g1\n33"))


def bad_vkey(town: Path) -> None:
    (town / "vkey").write_text("barry+00000000+AAAA\n")


@pytest.mark.parametrize(
    "change",
    [
        link_checkpoint,
        link_folder,
        pipe_as_vkey,
        large_checkpoint,
        large_bundle,
        folder_as_tile,
        spaced_size,
        traversing_origin,
        bad_vkey,
        lambda town: (town / "checkpoint").write_bytes(b"\xff\xfe"),
        lambda town: (town / "checkpoint").write_bytes(b""),
    ],
)
def test_a_hostile_file_is_malformed_input(change: Callable[[Path], None], tmp_path: Path) -> None:
    town = export(tmp_path)
    change(town)
    code, output = run(tmp_path)
    assert code == 2, output
    assert output.startswith("Malformed input: ")


def test_nothing_at_all_is_malformed_input(tmp_path: Path) -> None:
    assert run(tmp_path)[0] == 2
    assert run(tmp_path / "missing")[0] == 2
    (tmp_path / "barry").mkdir()
    assert run(tmp_path / "barry")[0] == 2
    assert CliRunner().invoke(app, ["verify"]).exit_code == 2


def test_a_log_that_holds_nothing_never_passes(tmp_path: Path) -> None:
    log_key = key("barry log")
    (tmp_path / "checkpoint").write_bytes(sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), log_key))
    (tmp_path / "vkey").write_text(VerifierKey(ORIGIN, log_key.public).text)
    code, output = run(tmp_path, "--json")
    report = json.loads(output)
    assert code == 1
    assert [finding["code"] for finding in report["findings"]] == ["A02"]
    assert {check["verdict"] for check in report["checks"]} == {"SKIPPED", "PASS", "FAIL"}
    assert {check["code"] for check in report["checks"] if check["verdict"] == "PASS"} == {"A10"}


def test_a_log_that_claims_more_entries_than_there_can_be_is_refused_at_once(tmp_path: Path) -> None:
    log_key = key("barry log")
    (tmp_path / "checkpoint").write_bytes(sign_checkpoint(Checkpoint(ORIGIN, 10**18, b"\0" * 32), log_key))
    assert run(tmp_path)[0] == 2


def test_a_town_given_twice_and_towns_of_two_networks_are_malformed_input(tmp_path: Path) -> None:
    town = export(tmp_path)
    assert run(town, town)[0] == 2
    log_key = key("other")
    other = tmp_path / "other"
    other.mkdir()
    origin = "timebank.scot/oban/g1"
    (other / "checkpoint").write_bytes(sign_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT), log_key))
    assert run(town, other)[0] == 2


def test_a_full_tile_serves_where_a_partial_one_is_gone(tmp_path: Path) -> None:
    network = season()
    town = network.towns["caernarfon"]
    directory = town.export(tmp_path)
    partial = next((directory / "tile/entries").glob("000.p/*"))
    raw = partial.read_bytes()
    shutil.rmtree(partial.parent)
    (directory / "tile/entries/000").write_bytes(raw)
    code, output = run(tmp_path)
    assert code == 3, output


def test_keys_and_policies_are_read_from_text_and_files(tmp_path: Path) -> None:
    town = export(tmp_path / "out")
    vkey = (town / "vkey").read_text().strip()
    vkeys = [(tmp_path / "out" / node / "vkey").read_text().strip() for node in ("aberdare", "barry", "caernarfon")]
    policy = tmp_path / "policy"
    policy.write_text("# towns\n" + "".join(f"log {text} https://x.example\n" for text in vkeys) + "quorum none\n")
    assert run(tmp_path / "out", "--policy", policy)[0] == 0
    assert run(tmp_path / "out", "--vkey", vkey)[0] == 3
    assert run(tmp_path / "out", *[part for text in vkeys for part in ("--vkey", text)])[0] == 0
    assert run(town, "--vkey", town / "vkey")[0] == 3
    policy.write_text("lgo x\n")
    assert run(tmp_path / "out", "--policy", policy)[0] == 2
    assert run(tmp_path / "out", "--policy", tmp_path / "missing")[0] == 2
    assert run(tmp_path / "out", "--vkey", "nonsense")[0] == 2
    assert run(tmp_path / "out", "--vkey", "\udc80" + vkey)[0] == 2


def test_text_and_json_agree_on_verdict_and_hash(tmp_path: Path) -> None:
    export(tmp_path)
    code, text = run(tmp_path)
    as_json = json.loads(run(tmp_path, "--json")[1])
    assert code == as_json["exit"] == 0
    assert as_json["sha256"] in text.replace("\n", "")
    assert "Not proven" in text
