"""The report on a terminal. Every text is printed as it is: nothing in an export can style or steer the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_STYLES = {"PASS": "green", "FAIL": "bold red", "NOT PROVEN": "yellow", "SKIPPED": "dim"}


def show(report: dict[str, Any], console: Console) -> None:
    """Print the report."""
    for part in _parts(report):
        # A sentence keeps its line, however narrow the console: hashes in it can be copied and searched for.
        console.print(part, soft_wrap=isinstance(part, Text))


def _parts(report: dict[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = [_towns(report), _checks(report)]
    if report["findings"]:
        parts += [Text("\nFindings", style="bold"), *_findings(report)]
    if report["pairs"]:
        parts.append(_pairs(report))
    parts.append(_listed(report))
    if report["money"]:
        parts.append(_money(report))
    parts.append(Text("\nNot proven", style="bold"))
    parts += [Text(f"  - {sentence}") for sentence in report["not_proven"]]
    verdict = report["verdict"]
    parts.append(
        Text.assemble(
            ("\n" + verdict, _STYLES[verdict]), f"   report sha256 {report['sha256']}   version {report['version']}"
        )
    )
    return parts


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _row(table: Table, *cells: object, styles: dict[int, str] | None = None) -> None:
    table.add_row(*[Text(str(cell), style=(styles or {}).get(at, "")) for at, cell in enumerate(cells)])


def _towns(report: dict[str, Any]) -> Table:
    table = _table("Towns", "town", ">entries", ">replayed", ">in the cut", "root", "files sha256")
    for town in report["towns"]:
        cells = (
            town["town"],
            town["size"],
            town["replayed"],
            town["cut"],
            town["root"][:16],
            town["files_sha256"][:16],
        )
        _row(table, *cells)
    return table


def _checks(report: dict[str, Any]) -> Table:
    table = _table("\nChecks", "code", "verdict", ">examined", "unit", ">findings", "proves that")
    for check in report["checks"]:
        verdict = check["verdict"]
        cells = (check["code"], verdict, check["examined"], check["unit"], check["findings"], check["proves"])
        _row(table, *cells, styles={1: _STYLES[verdict]})
    return table


def _findings(report: dict[str, Any]) -> list[Text]:
    lines = []
    for finding in report["findings"]:
        where = ", ".join(part for part in (finding["town"], finding["place"]) if part)
        lines.append(
            Text.assemble((f"  {finding['code']} {finding['verdict']}", _STYLES[finding["verdict"]]), f"  {where}")
        )
        lines.append(Text(f"      expected: {finding['expected']}\n      found:    {finding['found']}"))
    for check in report["checks"]:
        shown = sum(finding["code"] == check["code"] for finding in report["findings"])
        if shown < check["findings"]:
            lines.append(Text(f"  {check['code']}: {check['findings'] - shown} more of the same kind"))
    return lines


def _pairs(report: dict[str, Any]) -> Table:
    table = _table(
        "\nPairs at the greatest consistent cut (minutes)",
        "towns",
        ">clearing",
        ">undecided",
        ">received",
        ">rejected",
        ">difference",
    )
    for pair in report["pairs"]:
        both = [f"{pair[name][0]} | {pair[name][1]}" for name in ("clearing", "undecided", "received", "rejected")]
        _row(table, " | ".join(pair["towns"]), *both, pair["difference"])
    return table


def _listed(report: dict[str, Any]) -> RenderableType:
    if not report["listed"]:
        return Text(
            "\nListed always: no correction, grant, reversal, refund, remainder of a leaver, overruled "
            "dispute, or minutes confirmed by a rule or by nobody."
        )
    table = _table("\nListed always", "town", "what", ">count", ">minutes", "entries")
    for row in report["listed"]:
        _row(table, row["town"], row["kind"], row["count"], row["minutes"], _positions(row))
    return table


def _money(report: dict[str, Any]) -> Table:
    title = "\nMoney recorded beside the hours (minor units, never added to minutes)"
    table = _table(title, "town", "currency", "kind", ">count", ">minor units", "entries")
    for row in report["money"]:
        _row(table, row["town"], row["currency"], row["kind"], row["count"], row["minor_units"], _positions(row))
    return table


def _positions(row: dict[str, Any]) -> str:
    entries = ", ".join(str(position) for position in row["entries"])
    return entries + ("" if row["count"] == len(row["entries"]) else ", …")
