"""The forms of a report: CSV for programs and spreadsheets, and a page to print, in both languages."""

from __future__ import annotations

import csv
import io
import re
import tracemalloc
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, get_args

import pytest

from tests.ledger.busy_town import live
from tests.ledger.town_api import START, Town, gift
from timebank_contracts import fields
from timebank_ledger.journal_text import journal_text
from timebank_ledger.page_words import WORDS
from timebank_ledger.pages import Reader, statement_page
from timebank_ledger.period import Period
from timebank_ledger.report_asked import zone_of
from timebank_ledger.reports_csv import statement_csv
from timebank_ledger.statement import CHUNK_LINES, make_sheet

PATH = "/v1/accounts/bryn/statement"


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.parts: list[str] = []
        self.within = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.within = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.within = False

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
        if self.within:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {data.strip()}".strip()


def _read_page(html: str) -> tuple[list[list[str]], str]:
    parser = _Text()
    parser.feed(html)
    return parser.rows, re.sub(r"\s+", " ", " ".join(parser.parts))


def _rows(text: str, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))


def test_a_csv_statement_adds_up_and_names_its_zone(town: Town) -> None:
    """C-5, E-3."""
    operator = town.operator()
    for _ in range(3):
        operator.post("/v1/transfers", gift("alys", "bryn", 20))
    town.clock.advance((datetime(2026, 3, 31, 23, 30, tzinfo=UTC) - START).total_seconds())
    operator = town.operator()
    operator.post("/v1/transfers", gift("bryn", "alys", 150))
    answer = operator.get(PATH, format="csv", **{"from": "2026-03-01"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "statement-bryn-0-10.csv" in answer.headers["content-disposition"]
    opening, *lines, closing = _rows(answer.text)
    assert (opening["type"], opening["balance_minutes"], closing["type"]) == ("opening", "0", "closing")
    assert [(line["minutes"], line["hours"]) for line in lines] == [("20", "0:20")] * 3 + [("-150", "−2:30")]
    assert sum(int(line["minutes"]) for line in lines) == int(closing["balance_minutes"]) == -90
    assert (closing["balance_hours"], closing["position"]) == ("−1:30", "10")
    assert lines[-1]["date (Europe/London)"] == "2026-04-01"
    assert lines[-1]["time (UTC)"] == "2026-03-31T23:30:00.000Z"
    assert answer.text.count("\r\n") == answer.text.count("\n") == 7


def test_a_spreadsheet_has_its_mark_its_semicolons_and_numbers(town: Town) -> None:
    """F-11."""
    town.operator().post("/v1/transfers", gift("bryn", "alys", 90))
    answer = town.operator().get(PATH, format="spreadsheet")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert "spreadsheet" in answer.headers["content-disposition"]
    [_, line, closing] = _rows(answer.text.removeprefix("\ufeff"), ";")
    assert (line["minutes"], closing["balance_minutes"]) == ("-90", "-90")


def test_a_long_statement_is_whole_in_every_form(town: Town) -> None:
    live(town, [(0, n % 2, 1 if n % 2 == 0 else 3, 1, False) for n in range(2 * CHUNK_LINES + 10)])
    operator = town.operator()
    position = town.writer.tail.length
    rows = _rows(operator.get(PATH, format="csv").text)
    assert len(rows) == 2 * CHUNK_LINES + 10 + 2
    assert rows[-1]["position"] == str(position)
    assert rows[-2]["balance_minutes"] == rows[-1]["balance_minutes"]
    table, _ = _read_page(operator.get(PATH, format="html").text)
    assert len(table) == len(rows) + 1


def test_a_report_s_memory_does_not_grow_with_its_length(town: Town) -> None:
    live(town, [(0, n % 2, 1 if n % 2 == 0 else 3, 1, False) for n in range(8 * CHUNK_LINES)])
    edge = town.app.state.edge
    index, length, zone = edge.indexed(), town.writer.tail.length, zone_of(edge)
    reader = Reader(language="en", identity=edge.identity, zone=zone, now=town.clock.now())

    def peak(stop: int, form: str) -> int:
        period = Period(start=0, stop=stop)
        sheet = make_sheet(index, town.journal, "bryn", period, kind="member", zone=zone)
        pieces = {
            "csv": lambda: statement_csv(sheet, "plain"),
            "page": lambda: statement_page(sheet, reader),
            "hledger": lambda: journal_text(index, town.journal, period, zone=zone),
        }
        tracemalloc.start()
        try:
            for _ in pieces[form]():
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    for form in ("csv", "page", "hledger"):
        peak(CHUNK_LINES, form)  # what is loaded once
        assert peak(length, form) < 2 * peak(2 * CHUNK_LINES, form), form


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json;q=0.2, text/csv;q=0.9", "text/csv; charset=utf-8"),
        ("text/csv;q=0", "application/json"),
        ("text/csv;q=x, image/png", "application/json"),
    ],
)
@pytest.mark.parametrize("path", [PATH, "/v1/trial-balance"])
def test_the_form_is_what_the_caller_prefers(town: Town, path: str, accept: str | None, media_type: str) -> None:
    headers = town.operator().headers | ({} if accept is None else {"Accept": accept})
    answer = town.http.get(path, headers=headers)
    assert answer.headers["content-type"] == media_type
    assert (answer.headers["vary"], answer.headers["cache-control"]) == ("Accept, Accept-Language", "no-store")


def test_a_form_that_there_is_not_is_refused(town: Town) -> None:
    assert town.operator().get(PATH, format="xls").json()["code"] == "field_invalid"


def test_a_page_shows_every_line_and_adds_up(town: Town) -> None:
    """A-1."""
    operator = town.operator()
    transfer = operator.post("/v1/transfers", gift("alys", "bryn", 90)).json()["id"]
    service = {"purpose": "service", "activity": "garden", "served_on": "2026-03-01"}
    operator.post("/v1/transfers", gift("bryn", "alys", 45) | service)
    operator.post(f"/v1/transfers/{transfer}/reversal", {"reason": "mistake"})
    answer = operator.get(PATH, format="html", **{"from": "2026-03-01", "to": "2026-03-31"})
    table, text = _read_page(answer.text)
    assert table[0] == ["Date", "What", "Received", "Paid", "Balance"]
    assert table[1] == ["", "Opening balance", "", "", "0:00"]
    assert table[2] == ["2 Mar 2026", f"Gift {transfer}", "1:30", "", "1:30"]
    assert table[3] == ["2 Mar 2026", "Service: gardening given on 1 Mar 2026 · aberdare.g1.7", "", "0:45", "0:45"]
    assert table[4] == ["2 Mar 2026", f"Taken back a mistake · takes back {transfer}", "", "1:30", "−0:45"]
    assert table[5] == ["", "Closing balance", "", "", "−0:45"]
    assert "1 March 2026 – 31 March 2026" in text
    assert "no names" in text
    assert "Days are those of Europe/London." in text


def test_a_page_runs_and_fetches_nothing_and_nobody_keeps_it(town: Town) -> None:
    answer = town.operator().get(PATH, format="html")
    assert not re.search(r"<script|<link|<img|\bon[a-z]+=|https?:|url\(", answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("asked", "header", "language", "shown"),
    [
        (None, None, "en", ("Opening balance", "2 March 2026")),
        (None, "cy", "cy", ("Balans agoriadol", "2 Mawrth 2026")),
        ("cy", "en", "cy", ("Balans agoriadol", "2 Mawrth 2026")),
    ],
)
def test_a_page_speaks_its_reader_s_language(
    town: Town, asked: str | None, header: str | None, language: str, shown: tuple[str, ...]
) -> None:
    """H-1, P-4."""
    operator = town.operator()
    operator.post("/v1/transfers", gift("alys", "pot", 60) | {"purpose": "pot"})
    headers = operator.headers | ({} if header is None else {"Accept-Language": header})
    params = {"format": "html"} | ({} if asked is None else {"lang": asked})
    answer = town.http.get("/v1/accounts/pot/statement", params=params, headers=headers)
    assert answer.headers["content-language"] == language
    assert f'<html lang="{language}">' in answer.text
    table, text = _read_page(answer.text)
    assert table[2][2:] == ["1:00", "", "1:00"]
    for words in shown:
        assert words in text


def test_machine_forms_are_the_same_in_every_language(town: Town) -> None:
    """P-4."""
    town.operator().post("/v1/transfers", gift("alys", "bryn", 90))
    for form in ("json", "csv", "spreadsheet"):
        english, welsh = (town.operator().get(PATH, format=form, lang=language).content for language in ("en", "cy"))
        assert english == welsh


def test_the_trial_balance_has_the_same_sums_in_every_form(town: Town) -> None:
    operator = town.operator()
    operator.post("/v1/transfers", gift("alys", "bryn", 90))
    rows = _rows(operator.get("/v1/trial-balance", format="csv").text)
    assert [(row["kind"], row["credit_minutes"], row["debit_hours"]) for row in rows] == [
        ("member", "90", "1:30"),
        ("organisation", "0", "0:00"),
        ("pot", "0", "0:00"),
        ("total", "90", "1:30"),
    ]
    table, text = _read_page(operator.get("/v1/trial-balance", format="html", lang="cy").text)
    assert table[1] == ["Aelod", "2", "1:30", "1:30"]
    assert table[-1] == ["Cyfanswm", "4", "1:30", "1:30"]
    assert "2 Mawrth 2026, 10:00" in text
    assert "Before the first entry" in operator.get("/v1/trial-balance", format="html", position=0).text


def test_both_languages_have_words_for_everything_that_a_page_can_show() -> None:
    assert WORDS["en"].keys() == WORDS["cy"].keys()
    needed = {
        "purpose": fields.Purpose,
        "activity": fields.Activity,
        "kind": fields.AccountKind,
    }
    keys = {f"{group}.{code}" for group, codes in needed.items() for code in get_args(codes)}
    reasons = fields.ReversalReason, fields.RejectionReason, fields.SupportReason
    keys |= {f"reason.{code}" for codes in reasons for code in get_args(codes)}
    assert keys - WORDS["en"].keys() == set()
