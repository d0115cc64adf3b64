"""A36 and A70: what a town gave out about its books, beside what its journal says.

    <town>/statements/…json     account statements, as the ledger answers them
    <town>/figures/…json        trial balances, as the ledger answers them; figures, as `timebank figures --json` prints

Of each document only what can be computed is read: account, positions, lines, sums. It is compared, never believed.
Source: design page 5, A36 and A70; design page 3, "What people do with it".
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from timebank_audit.bundle import EXTRA_BYTES_MAX
from timebank_audit.figures_given import GivenFigures, judge_given, kind_of, read_given
from timebank_audit.findings import Findings
from timebank_audit.statements import Asked, Line, Statement, statements_of
from timebank_audit.towns import Town
from timebank_contracts.errors import Malformed
from timebank_contracts.fields import AccountId, JournalPosition
from timebank_contracts.figures import trial_balance

STATEMENTS_MAX: Final = 1_000
FIGURES_MAX: Final = 100
T = TypeVar("T")
_Sum = Annotated[int, Meta(ge=-(2**53), le=2**53)]


class GivenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a statement that was given out."""

    position: JournalPosition
    time: str
    type: str
    minutes: _Sum
    balance: _Sum


class GivenStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that was given out."""

    account: AccountId
    from_position: JournalPosition
    to_position: JournalPosition
    opening: _Sum
    lines: list[GivenLine]
    closing: _Sum


class GivenKind(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a trial balance that was given out."""

    kind: str
    accounts: JournalPosition
    credit: _Sum
    debit: _Sum


class GivenTrialBalance(msgspec.Struct, frozen=True, kw_only=True):
    """A trial balance that was given out."""

    entries: JournalPosition
    rows: list[GivenKind]
    credit: _Sum
    debit: _Sum
    total: _Sum


_statements: Final = msgspec.json.Decoder(GivenStatement)
_trial_balances: Final = msgspec.json.Decoder(GivenTrialBalance)


def judge_published(town: Town, findings: Findings) -> list[str]:
    """A36, A70 of one town whose journal was replayed to its end; returns what could not be used, as sentences.

    Raises:
        Malformed: a file among them is no statement, trial balance or document of figures, or there are too many.
    """
    unproven: list[str] = []
    given_out = []
    for name in _names(town, "statements", STATEMENTS_MAX):
        given = _decode(town, f"statements/{name}", _raw(town, f"statements/{name}"), _statements)
        place = f"statements/{name}, account {given.account}"
        if given.to_position > town.size:
            unproven.append(f"{town.node}: {place} goes beyond the export; it was not compared.")
        else:
            given_out.append((place, given))
    asked = [Asked(given.account, given.from_position, given.to_position) for _, given in given_out]
    for (place, given), true in zip(given_out, statements_of(town.entries, asked), strict=True):
        findings.examine("A36")
        _compare_statement(town, given, true, place, findings)
    figures: list[GivenFigures] = []
    for name in _names(town, "figures", FIGURES_MAX):
        raw = _raw(town, f"figures/{name}")
        if kind_of(raw):
            document = read_given(town, f"figures/{name}", raw, unproven)
            figures += [] if document is None else [document]
            continue
        trial = _decode(town, f"figures/{name}", raw, _trial_balances)
        place = f"figures/{name}, trial balance after {trial.entries} entries"
        if trial.entries > town.size:
            unproven.append(f"{town.node}: {place} goes beyond the export; it was not compared.")
            continue
        findings.examine("A70")
        _compare_trial_balance(town, trial, place, findings)
    if figures:
        judge_given(town, figures, findings)
    return unproven


def _names(town: Town, folder: str, most: int) -> list[str]:
    names = town.files.names(folder)
    if len(names) > most:
        raise Malformed(f"{town.files.store.name}/{folder} holds more than {most} files; audit them in parts.")
    return names


def _raw(town: Town, path: str) -> bytes:
    return town.files.read(path, bytes_max=EXTRA_BYTES_MAX) or b""


def _decode(town: Town, path: str, raw: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise Malformed(f"{town.files.store.name}/{path} is not what the ledger gives out: {error}.") from error


def _compare_statement(town: Town, given: GivenStatement, true: Statement, place: str, findings: Findings) -> None:
    said = [Line(line.position, line.time, line.type, line.minutes, line.balance) for line in given.lines]
    if given.opening != true.opening:
        found = (f"an opening balance of {true.opening} minutes", f"{given.opening} minutes")
    elif said != true.lines:
        at = next((i for i, pair in enumerate(zip(said, true.lines, strict=False)) if pair[0] != pair[1]), None)
        at = min(len(said), len(true.lines)) if at is None else at
        found = (_show(true.lines, at), _show(said, at))
        place = f"{place}, line {at + 1}"
    elif given.closing != true.closing:
        found = (f"a closing balance of {true.closing} minutes", f"{given.closing} minutes")
    else:
        return
    findings.add("A36", town=town.node, place=place, expected=found[0], found=found[1])


def _show(lines: list[Line], at: int) -> str:
    if at >= len(lines):
        return "no such line"
    line = lines[at]
    return f"entry {line.position}, {line.type}, {line.minutes} minutes, balance {line.balance}, at {line.time}"


def _compare_trial_balance(town: Town, given: GivenTrialBalance, place: str, findings: Findings) -> None:
    true = trial_balance(town.book(given.entries))
    rows = {row.kind: (row.accounts, row.credit, row.debit) for row in true.rows}
    said = {row.kind: (row.accounts, row.credit, row.debit) for row in given.rows}
    differing = sorted(kind for kind in rows.keys() | said.keys() if rows.get(kind) != said.get(kind))
    if differing:
        kind = differing[0]
        expected, found = (f"{kind}: accounts, credit, debit {values.get(kind)}" for values in (rows, said))
    elif (given.credit, given.debit, given.total) != (true.credit, true.debit, true.total):
        expected = f"credit {true.credit}, debit {true.debit}, total {true.total} minutes"
        found = f"credit {given.credit}, debit {given.debit}, total {given.total} minutes"
    else:
        return
    findings.add("A70", town=town.node, place=place, expected=expected, found=found)
