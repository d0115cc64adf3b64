"""The bundle: the same bytes from the same towns, read in place, and checked by strangers with general tools."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.audit.season import season
from timebank_audit.bundle import parse_sums, read_manifest
from timebank_audit.export import export
from timebank_audit.report import make_report
from timebank_audit.stores import Archive, Folder
from timebank_audit.verify import verify
from timebank_contracts.errors import Malformed


def audited(*paths: Path) -> dict[str, Any]:
    return make_report(verify(paths), version="test")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of three towns, in a folder."""
    season().export(tmp_path / "out")
    export([tmp_path / "out"], tmp_path / "season.tbaudit", tar=False)
    return tmp_path / "season.tbaudit"


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_towns_give_the_same_bytes_in_a_folder_and_in_an_archive(tmp_path: Path) -> None:
    for name in ("one", "two"):
        season().export(tmp_path / name / "out")
        (tmp_path / name / "out/barry/left-over").write_text("not a part of any export")
        export([tmp_path / name / "out"], tmp_path / name / "a.tbaudit", tar=False)
        export([tmp_path / name / "out"], tmp_path / name / "a.tar", tar=True)
    assert content(tmp_path / "one/a.tbaudit") == content(tmp_path / "two/a.tbaudit")
    assert (tmp_path / "one/a.tar").read_bytes() == (tmp_path / "two/a.tar").read_bytes()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["a.tar", "a.tbaudit", "out"]


def test_a_bundle_passes_as_a_folder_and_as_an_archive_and_both_reports_say_the_same(
    bundle: Path, tmp_path: Path
) -> None:
    export([bundle], tmp_path / "b.tar", tar=True)
    folder, archive, towns = audited(bundle), audited(tmp_path / "b.tar"), audited(tmp_path / "out")
    assert (folder["verdict"], folder["findings"]) == ("PASS", [])
    assert folder == archive
    assert [town["files_sha256"] for town in folder["towns"]] == [town["files_sha256"] for town in towns["towns"]]


def test_the_manifest_names_towns_sizes_and_roots(bundle: Path) -> None:
    manifest = read_manifest(Folder(bundle))
    assert [(town.folder, town.size) for town in manifest.towns] == [
        (node, town.book.n) for node, town in season().towns.items()
    ]
    paths = [path for _, path in parse_sums((bundle / "SHA256SUMS").read_bytes())]
    assert set(content(bundle)) == {*paths, "SHA256SUMS", "manifest.json"}


@pytest.mark.parametrize("path", ["VERIFY.md", "barry/registry/1.json"])
def test_a_file_that_was_changed_after_packing_is_named(path: str, bundle: Path) -> None:
    (bundle / path).write_bytes((bundle / path).read_bytes().replace(b"a", b"b", 1))
    report = audited(bundle)
    assert ("A01", path) in {(finding["code"], finding["place"]) for finding in report["findings"]}
    assert report["exit"] == 1


def test_a_whole_town_that_was_taken_away_is_missed(bundle: Path) -> None:
    """M-1."""
    shutil.rmtree(bundle / "barry")
    report = audited(bundle)
    assert report["exit"] == 1
    assert {finding["code"] for finding in report["findings"]} == {"A01", "A48"}


def test_a_bundle_whose_towns_were_all_taken_away_fails(bundle: Path) -> None:
    """M-1."""
    for town in ("aberdare", "barry", "caernarfon"):
        shutil.rmtree(bundle / town)
    assert audited(bundle)["exit"] == 1


def test_nothing_is_overwritten_and_nothing_half_written_is_left(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="exists already"):
        export([tmp_path / "out"], bundle, tar=False)
    next((tmp_path / "out/barry/tile/entries").glob("000.p/*")).unlink()
    for tar in (False, True):
        with pytest.raises(Malformed, match="not whole"):
            export([tmp_path / "out"], tmp_path / "new", tar=tar)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "season.tbaudit"]


def blocks(language: str) -> list[str]:
    text = (Path(__file__).parents[2] / "services/audit/timebank_audit/VERIFY.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_a_stranger_follows_the_page_in_the_bundle_and_needs_none_of_our_code(bundle: Path, tmp_path: Path) -> None:
    assert (bundle / "VERIFY.md").read_text().startswith("# How to check")
    [sums] = blocks("sh")
    check, add_up = blocks("python")
    (tmp_path / "check.py").write_text(check)
    (tmp_path / "add.py").write_text(add_up)
    whole = run("sh", "-c", sums, cwd=bundle)
    assert (whole.returncode, whole.stdout, whole.stderr) == (0, "", "")
    for node, town in season().towns.items():
        # -I -S: neither this project nor anything that was installed can be imported.
        found = run(sys.executable, "-I", "-S", str(tmp_path / "check.py"), node, cwd=bundle)
        assert found.returncode == 0, found.stderr
        assert found.stdout.startswith(f"{town.identity.origin}: {town.book.n} entries, root ")
        added = run(sys.executable, "-I", "-S", str(tmp_path / "add.py"), node, cwd=bundle)
        balances = {account: int(minutes) for account, minutes in map(str.split, added.stdout.splitlines())}
        assert balances == {account: minutes for account, minutes in town.book.balances() if account in balances}
        assert sum(balances.values()) == 0
    note = bundle / "barry/checkpoint"
    note.write_text(note.read_text().replace("timebank.wales/barry/g1\n", "timebank.wales/bary/g1\n", 1))
    assert run(sys.executable, "-I", "-S", str(tmp_path / "check.py"), "barry", cwd=bundle).returncode == 1
    assert run("sh", "-c", sums, cwd=bundle).returncode == 1


def test_an_archive_that_is_not_the_strict_form_is_malformed(bundle: Path, tmp_path: Path) -> None:
    export([bundle], tmp_path / "b.tar", tar=True)
    good = (tmp_path / "b.tar").read_bytes()
    bad = tmp_path / "bad.tar"
    link = bytearray(good)
    link[156:157] = b"2"
    huge = bytearray(good)
    huge[124:135] = b"77777777777"
    for raw in (b"", good[:700], good[: len(good) - 10_240], bytes(link), bytes(huge), b"x" * 2_000, good[512:]):
        bad.write_bytes(raw)
        with pytest.raises(Malformed):
            Archive(bad)


def test_sums_of_another_form_are_malformed() -> None:
    line = b"0" * 64 + b"  a/b\n"
    assert parse_sums(line) == [("0" * 64, "a/b")]
    for raw in (line + line, line[:-1], line.replace(b"a/b", b"../b"), line.replace(b"  ", b" "), b"\xff\n", b"\n"):
        with pytest.raises(Malformed):
            parse_sums(raw)
