"""The verbs beside `verify`: what they print is the journal's own, and a journal that failed is not shown."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.audit import mutators_between_towns, mutators_of_history
from tests.audit.builder import Network
from tests.audit.mutators import MUTATORS
from tests.audit.returned import lose
from tests.audit.season import season
from timebank_audit.cli import app
from timebank_audit.receipts import read_receipt

assert mutators_between_towns, "importing it registers its faults"
assert mutators_of_history, "so here"


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, result.output


@pytest.fixture
def network() -> Network:
    return season()


@pytest.fixture
def out(network: Network, tmp_path: Path) -> Path:
    """Three exported towns."""
    return network.export(tmp_path / "out")


def test_replay_gives_the_balances_of_then(network: Network, out: Path) -> None:
    town = network.towns["barry"]
    code, printed = run("replay", out / "barry", "--csv")
    rows = {row["account"]: int(row["minutes"]) for row in csv.DictReader(io.StringIO(printed))}
    assert (code, rows) == (0, dict(town.book.balances()))
    code, printed = run("replay", out, "--town", "barry", "--as-of", "8")
    assert code == 0
    assert printed.startswith("barry after 8 entries")
    assert "total 0 min" in printed
    then = sum(b'"time":"2026-01-01' in raw for raw in town.raws)
    assert 0 < then < len(town.raws)
    assert run("replay", out, "--town", "barry", "--as-of", "2026-01-01")[1].startswith(f"barry after {then} ")
    assert run("replay", out, "--town", "barry", "--as-of", "2025-12-31")[1].startswith("barry after 0 entries")


@pytest.mark.parametrize("asked", ["99999", "-1", "2026-02-30", "1e3", "\N{ARABIC-INDIC DIGIT THREE}"])
def test_a_position_or_day_that_is_none_is_malformed(asked: str, out: Path) -> None:
    assert run("replay", out / "barry", f"--as-of={asked}")[0] == 2


def test_a_town_must_be_named_where_there_are_several(out: Path) -> None:
    code, printed = run("replay", out)
    assert code == 2
    assert "aberdare, barry, caernarfon" in printed


def test_opening_and_lines_are_the_closing_balance_and_parts_of_a_statement_join(network: Network, out: Path) -> None:
    def rows(*period: str) -> list[dict[str, str]]:
        code, printed = run("statement", out / "barry", "--account", "alys", "--csv", *period)
        assert code == 0
        return list(csv.DictReader(io.StringIO(printed)))

    whole, first, second = rows(), rows("--to", "15"), rows("--from", "15")
    balance = [int(row["balance_minutes"]) for row in whole]
    assert balance[-1] == network.towns["barry"].book.accounts["alys"].balance
    assert sum(int(row["minutes"]) for row in whole[1:-1]) == balance[-1]
    assert first[-1]["balance_minutes"] == second[0]["balance_minutes"]
    assert [*first[1:-1], *second[1:-1]] == whole[1:-1]
    assert rows("--from", "2026-01-02")[1:-1] == []
    assert "closing" in run("statement", out / "barry", "--account", "alys")[1]


@pytest.mark.parametrize("verb", ["replay", "keys", "statement"])
def test_the_books_of_a_journal_that_failed_are_not_shown(verb: str, tmp_path: Path) -> None:
    MUTATORS["A30"](tmp_path)
    more = ["--account", "alys"] if verb == "statement" else []
    code, printed = run(verb, tmp_path / "barry", *more)
    assert code == 1
    assert printed.startswith("FAIL: A30 barry")


def test_the_history_of_keys_says_from_which_entry_on_each_is_in_force(network: Network, out: Path) -> None:
    code, printed = run("keys", out / "barry")
    assert code == 0
    assert "registry version 1, sha256 " in printed
    assert "+ " in printed
    assert printed.count("the key of barry that signs segments") == 1


def test_two_towns_are_reconciled_from_both_sides(out: Path) -> None:
    code, printed = run("reconcile", out)
    assert code == 0
    assert printed.count("difference 0 min") == 3
    assert printed.endswith("PASS\n")
    assert run("reconcile", out / "aberdare", out / "barry")[0] == 3


def test_reconcile_fails_where_two_towns_differ(tmp_path: Path) -> None:
    MUTATORS["A41"](tmp_path)
    code, printed = run("reconcile", tmp_path)
    assert code == 1
    assert "A41 FAIL" in printed


def test_an_audit_rolls_forward_from_a_report_an_export_or_a_bundle(
    network: Network, out: Path, tmp_path: Path
) -> None:
    report = tmp_path / "then.json"
    report.write_text(run("verify", out, "--json")[1])
    bundle = tmp_path / "then.tbaudit"
    assert run("export", out, "--into", bundle)[0] == 0
    town = network.towns["barry"]
    before = len(town.raws)
    town.give(25)
    town.give(35)
    now = network.export(tmp_path / "now")
    for old in (report, out, bundle):
        code, printed = run("diff", old, now)
        assert code == 0, printed
        assert f"timebank.wales/barry/g1: {before} entries then, {before + 2} now" in printed
        assert "transfer.posted                   2          60 min" in printed


def test_an_audit_rolls_forward_over_a_break_and_says_what_was_lost_in_it(tmp_path: Path) -> None:
    """PROTOCOL.md X7: what was seen before the state was lost is a beginning still, as far as it was kept."""
    network = Network("aberdare", "barry")
    aberdare, _ = network.towns.values()
    aberdare.give(25)
    kept = network.export(tmp_path / "kept")
    size = len(aberdare.raws)
    aberdare.give(35)
    more = network.export(tmp_path / "more")
    lose(network, aberdare, size)
    aberdare.give(10)
    now = network.export(tmp_path / "now")
    code, printed = run("diff", kept, now)
    assert code == 0, printed
    assert f"timebank.wales/aberdare/g2: {size} entries then, as g1; {len(aberdare.raws)} now" in printed
    assert "not given now" not in printed
    assert "transfer.posted                   1          10 min" in printed
    code, printed = run("diff", more, now)
    assert code == 3
    assert f"{size + 1} entries then, as g1; 1 of them were lost; {len(aberdare.raws)} now" in printed
    assert "A12 NOT PROVEN  aberdare, the earlier audit, of g1" in printed
    assert run("diff", now, network.export(tmp_path / "again"))[0] == 0


def test_a_beginning_that_was_rewritten_before_a_break_is_found_by_diff(tmp_path: Path) -> None:
    network = Network("aberdare", "barry")
    aberdare, _ = network.towns.values()
    size = len(aberdare.raws)
    aberdare.give(25)
    then = network.export(tmp_path / "then")
    aberdare.rewind(size)
    aberdare.give(35)
    lose(network, aberdare, len(aberdare.raws))
    code, printed = run("diff", then, network.export(tmp_path / "now"))
    assert code == 1
    assert "A12 FAIL" in printed


def test_a_history_that_was_rewritten_since_is_found_by_diff(tmp_path: Path) -> None:
    MUTATORS["A12"](tmp_path)
    code, printed = run("diff", tmp_path / "earlier.json", tmp_path)
    assert code == 1
    assert "A12 FAIL" in printed


def test_a_receipt_proves_one_transfer_and_shows_no_other(network: Network, out: Path, tmp_path: Path) -> None:
    registry = network.registry.sha256
    at = next(n for n, raw in enumerate(network.towns["aberdare"].raws) if b'"transfer.posted"' in raw)
    for transfer in ("aberdare.g1.barry.1", f"aberdare.g1.{at}"):
        file = tmp_path / f"{transfer}.receipt"
        assert run("prove", transfer, out, "--into", file)[0] == 0
        assert run("check-proof", file)[0] == 3
        assert run("check-proof", file, "--registry-sha256", registry)[0] == 0
        assert run("check-proof", file, "--registry-sha256", "0" * 64)[0] == 1
    shown = read_receipt((tmp_path / "aberdare.g1.barry.1.receipt").read_bytes())
    assert shown.sent
    assert len(shown.sent.hashes) == 2
    messages = network.towns["aberdare"].messages("barry")
    whole = b"".join(
        base64.b64decode(part)
        for part in (shown.proved.entry, shown.proved.proof, shown.sent.envelope, shown.sent.message)
    )
    assert messages[0] in whole
    assert b"aberdare.g1.barry.2" not in whole
    log = (out / "aberdare/vkey").read_text().strip()
    local = tmp_path / f"aberdare.g1.{at}.receipt"
    assert run("check-proof", local, "--vkey", log)[0] == 0
    other = (out / "barry/vkey").read_text().strip()
    assert run("check-proof", local, "--vkey", other)[0] == 3


def test_every_changed_byte_of_a_receipt_is_noticed(network: Network, out: Path, tmp_path: Path) -> None:
    file = tmp_path / "one.receipt"
    run("prove", "aberdare.g1.barry.1", out, "--into", file)
    raw = file.read_bytes()
    json.loads(raw)
    for at in range(3, len(raw) - 3, 197):
        changed = bytearray(raw)
        changed[at] = ord("A") if changed[at] != ord("A") else ord("B")
        file.write_bytes(bytes(changed))
        code, printed = run("check-proof", file, "--registry-sha256", network.registry.sha256)
        assert code in (1, 2), (at, printed)


@pytest.mark.parametrize("transfer", ["aberdare.g1.0", "aberdare.g1.999", "aberdare.g1.barry.99", "dinas.g1.5", "x"])
def test_what_is_no_transfer_has_no_receipt(transfer: str, out: Path, tmp_path: Path) -> None:
    assert run("prove", transfer, out, "--into", tmp_path / "r")[0] == 2
    assert not (tmp_path / "r").exists()


def test_the_selftest_tries_known_answers_and_planted_faults(tmp_path: Path) -> None:
    code, printed = run("selftest")
    assert code == 0, printed
    assert printed.count("right  ") == 12
    assert "WRONG" not in printed


@pytest.mark.parametrize("name", ["A11", "A15", "A15b"])
def test_evidence_of_two_logs_under_one_key_stands_by_itself(name: str, tmp_path: Path) -> None:
    MUTATORS[name](tmp_path / "out")
    file = tmp_path / "fork.json"
    code, printed = run("equivocation", tmp_path / "out", "--into", file)
    assert code == 1
    assert "contradict each other" in printed
    code, printed = run("equivocation", file)
    assert code == 1
    assert "under the log key" in printed
    file.write_bytes(file.read_bytes().replace(b"timebank.wales", b"timebunk.wales", 1))
    assert run("equivocation", file)[0] == 2


def test_notes_that_agree_are_no_evidence_and_no_notes_prove_nothing(out: Path, tmp_path: Path) -> None:
    assert run("equivocation", out) == (0, "2 notes were compared, and no contradiction was found.\n")
    assert run("equivocation", Network("aberdare").export(tmp_path / "one"))[0] == 3
