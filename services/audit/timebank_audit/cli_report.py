"""`timebank audit report`: the audit as a page, as JSON, or a town's books for other programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from timebank_audit.codes import Verdict
from timebank_audit.edge import Policy, Unsound, Vkeys, ended_by_exit_code, trust_of, verify_with_a_bar
from timebank_audit.page import page
from timebank_audit.page_words import Language
from timebank_audit.report import make_report, overall
from timebank_audit.texts import balances_csv, hledger_text, ndjson_text
from timebank_audit.usable import town_of
from timebank_audit.verify import Audit
from timebank_contracts.days import ZONE_DEFAULT, read_zone


class Form(StrEnum):
    """What is written. The last three are books, and are written only of journals that stood the checks."""

    HTML = "html"
    JSON = "json"
    CSV = "csv"
    HLEDGER = "hledger"
    NDJSON = "ndjson"


class Words(StrEnum):
    """The language of the page."""

    EN = "en"
    CY = "cy"


def report(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Exported towns, or bundles.")],
    form: Annotated[Form, typer.Option("--format", help="The form.")] = Form.HTML,
    into: Annotated[Path | None, typer.Option("--into", help="The file; else standard output.")] = None,
    lang: Annotated[Words, typer.Option("--lang", help="The page's language.")] = Words.EN,
    town: Annotated[str | None, typer.Option("--town", help="Which town, for hledger and ndjson.")] = None,
    zone: Annotated[str, typer.Option("--zone", help="The town's time zone, for hledger.")] = ZONE_DEFAULT,
    vkey: Vkeys = None,
    policy: Policy = None,
) -> None:
    """Write the audit as a page to read and print, as JSON, or the books for other programs; ends as `verify` does.

    Example: timebank audit report wales.tbaudit --lang cy --into adroddiad.html
    """
    with ended_by_exit_code():
        audited = verify_with_a_bar(paths, trust_of(vkey or [], policy))
        said = make_report(audited, version=version("timebank"))
        if form is Form.HTML:
            language: Language = "cy" if lang is Words.CY else "en"
            pieces = iter([page(said, language)])
        elif form is Form.JSON:
            pieces = iter([json.dumps(said, indent=2, ensure_ascii=False), "\n"])
        else:
            pieces = _books(audited, form, town, zone)
        _write(pieces, into)
    raise typer.Exit(said["exit"])


def _books(audited: Audit, form: Form, town: str | None, zone: str) -> Iterator[str]:
    if overall(audited) is Verdict.FAIL:
        raise Unsound("a journal failed a check, so its books are not written; see `timebank audit verify`.")
    if form is Form.CSV:
        return balances_csv([one for one in audited.towns if not one.unusable], "plain")
    chosen = town_of(audited, town)
    return hledger_text(chosen, read_zone(zone)) if form is Form.HLEDGER else ndjson_text(chosen)


def _write(pieces: Iterator[str], into: Path | None) -> None:
    """Write a file whole or not at all; or to standard output."""
    if into is None:
        for piece in pieces:
            sys.stdout.write(piece)
        return
    part = into.with_name(f".{into.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            for piece in pieces:
                file.write(piece)
        part.replace(into)
    finally:
        part.unlink(missing_ok=True)
