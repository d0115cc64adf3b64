"""The report as a page, and the books for other programs: the same figures, and no text from an export acts."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.audit.builder import Network
from tests.audit.mutators import MUTATORS
from tests.audit.season import season
from timebank_audit.cli import app
from timebank_audit.page import page
from timebank_audit.page_words import WORDS
from timebank_audit.report import make_report
from timebank_audit.verify import verify


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.fixture
def network() -> Network:
    return season()


@pytest.fixture
def out(network: Network, tmp_path: Path) -> Path:
    return network.export(tmp_path / "out")


class Reader(HTMLParser):
    """Reads a page as a browser would, and keeps what a person who cannot see it needs."""

    def __init__(self) -> None:
        super().__init__()
        self.language = ""
        self.tags: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.language = said.get("lang") or "" if tag == "html" else self.language
        self.ids += [said["id"] or ""] if "id" in said else []
        self.links += [said["href"] or ""] if "href" in said else []
        if tag == "th":
            assert said["scope"] in ("row", "col")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_the_page_says_the_verdict_first_and_holds_the_report_s_hash(lang: str, out: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    assert run("report", out, "--lang", lang, "--into", file)[0] == 0
    reader = read(file.read_text("utf-8"))
    text = "".join(reader.text)
    said = json.loads(run("report", out, "--format", "json")[1])
    words = WORDS[lang]  # type: ignore[index]  # one of the two
    assert reader.language == lang
    assert text.index(words["PASS"]) < text.index(words["examined"]) < text.index(words["not_proven"])
    assert said["sha256"] in text
    assert reader.tags.count("h1") == 1
    assert not {"script", "img", "iframe", "form", "link"} & set(reader.tags)
    assert {link.removeprefix("#") for link in reader.links} <= set(reader.ids)
    assert len(set(reader.ids)) == len(reader.ids)
    for town in ("aberdare", "barry", "caernarfon"):
        assert town in text


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["en"].keys() == WORDS["cy"].keys()
    assert all(WORDS["cy"].values())


def test_the_same_files_give_the_same_page_and_the_same_json(out: Path) -> None:
    for form in ("html", "json"):
        assert run("report", out, "--format", form) == run("report", out, "--format", form)


def test_a_finding_stands_on_the_page_and_what_an_export_says_is_only_text(tmp_path: Path) -> None:
    MUTATORS["A32"](tmp_path)
    report = make_report(verify([tmp_path]), version="test")
    report["findings"][0]["found"] = "<script>alert(1)</script>\"'&"
    shown = page(report, "en")
    assert "<script>" not in shown
    reader = read(shown)
    assert "<script>alert(1)</script>\"'&" in reader.text
    assert WORDS["en"]["means.FAIL"] in "".join(reader.text)


def test_trial_balances_and_positions_of_the_report_are_the_books(network: Network, out: Path) -> None:
    said = json.loads(run("report", out, "--format", "json")[1])
    for trial in said["trial_balances"]:
        assert trial["total"] == 0
        assert trial["credit"] == sum(max(0, minutes) for _, minutes in network.towns[trial["town"]].book.balances())
    for row in said["positions"]:
        assert row["clearing"] == network.towns[row["town"]].book.peers[row["peer"]].clearing.balance


def test_csv_and_lines_of_json_are_the_journal(network: Network, out: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("report", out, "--format", "csv")[1])))
    for node, town in network.towns.items():
        mine = {row["account"]: int(row["minutes"]) for row in rows if row["town"] == node}
        assert mine == dict(town.book.balances())
    code, lines = run("report", out, "--format", "ndjson", "--town", "barry")
    assert (code, [line.encode() for line in lines.splitlines()]) == (0, network.towns["barry"].raws)


def test_hledger_finds_the_journal_sound(out: Path, tmp_path: Path) -> None:
    hledger = shutil.which("hledger")
    if hledger is None:
        pytest.skip("hledger is not installed")
    file = tmp_path / "barry.journal"
    assert run("report", out, "--format", "hledger", "--town", "barry", "--into", file)[0] == 0
    done = subprocess.run([hledger, "-f", str(file), "check", "--strict"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_books_of_a_journal_that_failed_are_not_written_and_its_page_is(tmp_path: Path) -> None:
    MUTATORS["A30"](tmp_path)
    file = tmp_path / "books"
    for form in ("csv", "hledger", "ndjson"):
        assert run("report", tmp_path, "--format", form, "--town", "barry", "--into", file)[0] == 1
        assert not file.exists()
    assert run("report", tmp_path, "--into", file)[0] == 1
    assert "A30" in file.read_text()
