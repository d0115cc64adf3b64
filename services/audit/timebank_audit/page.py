"""The report as a page: verdict first, what was examined, what is not proven, findings, books. One file, no script.

It prints on paper, works without a network, a mouse or colours, and every text from an export is escaped.
Source: design page 5; WCAG 2.2 AA.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from timebank_audit.page_welsh import KINDS, PROVES, sentence
from timebank_audit.page_words import WORDS, Language

_STYLE: Final = """
:root{color-scheme:light}
body{font:16px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#fff;max-width:70rem;margin:0 auto;padding:1rem}
h1{font-size:1.8rem;margin:.5rem 0}h2{font-size:1.3rem;margin:2rem 0 .5rem;border-bottom:1px solid #767676}
a{color:#0b4f8a}a:focus-visible{outline:3px solid #0b4f8a;outline-offset:2px}
.skip{position:absolute;left:-100rem}.skip:focus{position:static}
.verdict{border:3px solid;border-left-width:1rem;padding:.5rem 1rem}
.verdict strong{font-size:1.5rem;display:block}
.pass{color:#0a5c2b}.fail{color:#a00000}.open{color:#6b4a00}
.scroll{overflow-x:auto;position:relative}.hide{position:absolute;left:-100rem}
table{border-collapse:collapse;width:100%;font-size:.9rem}
caption{text-align:left;font-weight:600;padding:.25rem 0}
th,td{border-bottom:1px solid #c6c6c6;padding:.3rem .5rem;text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:.85em/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
@media print{body{max-width:none;font-size:11pt;padding:0}nav,.skip{display:none}.scroll{overflow:visible}
h2{break-after:avoid}tr{break-inside:avoid}thead{display:table-header-group}}
""".replace("\n", "")

_LOOKS: Final = {"PASS": "pass", "FAIL": "fail", "NOT PROVEN": "open", "SKIPPED": "open"}


class _Html(str):
    """Text that is markup already."""

    __slots__ = ()


def page(report: dict[str, Any], language: Language) -> str:
    """The report of `make_report` as one HTML document.

    Args:
        report: the report.
        language: of headings and sentences; codes and places stay as they are.
    """
    words = WORDS[language]
    towns = ", ".join(town["town"] for town in report["towns"])
    parts = [
        ("examined", _examined(report, words)),
        ("not_proven", _not_proven(report, words)),
        ("findings", _findings(report, words)),
        ("checks", _checks(report, words)),
        ("trial_balances", _trial_balances(report, words)),
        ("positions", _positions(report, words)),
        ("pairs", _pairs(report, words)),
        ("listed", _listed(report, words)),
        ("money", _money(report, words)),
    ]
    shown = [(name, body) for name, body in parts if body]
    links = "".join(f'<li><a href="#{name}">{escape(words[name])}</a></li>' for name, _ in shown)
    sections = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(words[name])}</h2>{body}</section>'
        for name, body in shown
    )
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(words['title'])}: {escape(words[report['verdict']])}, {escape(towns)}</title>"
        f"<style>{_STYLE}</style></head><body>"
        f'<a class="skip" href="#findings">{escape(words["skip"])}</a>'
        f"<header><h1>{escape(words['of'].format(towns=towns))}</h1>{_verdict(report, words)}</header>"
        f'<nav aria-label="{escape(words["contents"])}"><ul>{links}</ul></nav><main>{sections}</main>'
        f"<footer><p>{escape(words['tool'].format(version=report['version']))}</p></footer></body></html>\n"
    )


def _verdict(report: dict[str, Any], words: dict[str, str]) -> str:
    verdict = report["verdict"]
    return (
        f'<div class="verdict {_LOOKS[verdict]}"><strong>{escape(words["verdict"])}: {escape(words[verdict])}</strong>'
        f"{escape(words[f'means.{verdict}'])}</div>"
        f"<p>{escape(words['compare'])}<br><code>{escape(verdict)} sha256 {escape(report['sha256'])}</code></p>"
    )


def _examined(report: dict[str, Any], words: dict[str, str]) -> str:
    policy = report["policy"]
    heads = ["town", ">entries", ">replayed", ">cut", "last_entry", "root", "files"]
    rows = [
        [town[name] for name in ("town", "size", "replayed", "cut", "last_entry")]
        + [_code(town[name]) for name in ("root", "files_sha256")]
        for town in report["towns"]
    ]
    quorum = words["none"] if policy["quorum"] == "none" else policy["quorum"]
    said = f"{words['keys']}: {words['keys.' + policy['keys']]}. {words['quorum']}: {quorum}."
    return _table(words["examined"], heads, rows, words) + f"<p>{escape(said)}</p>"


def _not_proven(report: dict[str, Any], words: dict[str, str]) -> str:
    said = [_said(text, words, sentence(text)) for text in report["not_proven"]]
    return "<ul>" + "".join(f"<li>{text}</li>" for text in said) + "</ul>"


def _findings(report: dict[str, Any], words: dict[str, str]) -> str:
    if not report["findings"]:
        return f"<p>{escape(words['no_findings'])}</p>"
    rows = [
        [f"{one['code']} {words[one['verdict']]}", one["town"], one["place"], one["expected"], one["found"]]
        for one in report["findings"]
    ]
    more = []
    for check in report["checks"]:
        left = check["findings"] - sum(one["code"] == check["code"] for one in report["findings"])
        if left > 0:
            more.append(f"<p>{escape(words['more'].format(count=left, code=check['code']))}</p>")
    return _table(words["findings"], ["code", "town", "where", "expected", "found"], rows, words) + "".join(more)


def _checks(report: dict[str, Any], words: dict[str, str]) -> str:
    rows = [
        [check["code"], words[check["verdict"]], check["examined"], _proves(check, words)] for check in report["checks"]
    ]
    return _table(words["checks"], ["code", "verdict", ">count", "proves"], rows, words)


def _trial_balances(report: dict[str, Any], words: dict[str, str]) -> str:
    tables = []
    for trial in report["trial_balances"]:
        rows = [[row["kind"], row["accounts"], row["credit"], row["debit"]] for row in trial["rows"]]
        rows.append([words["total"], sum(row["accounts"] for row in trial["rows"]), trial["credit"], trial["debit"]])
        tables.append(_table(trial["town"], ["kind", ">accounts", ">credit", ">debit"], rows, words))
    return f"<p>{escape(words['minutes_are'])}</p>{''.join(tables)}" if tables else ""


def _positions(report: dict[str, Any], words: dict[str, str]) -> str:
    """The matrix: a row for each town, a column for each that it knows."""
    found = {(row["town"], row["peer"]): row for row in report["positions"]}
    peers = sorted({peer for _, peer in found})
    if not peers:
        return ""
    rows = []
    for town in sorted({town for town, _ in found}):
        cells: list[object] = [town]
        for peer in peers:
            row = found.get((town, peer))
            transit = f" ({row['transit']})" if row and row["transit"] else ""
            cells.append("" if row is None else f"{row['clearing']}{transit}")
        rows.append(cells)
    heads = [words["town"], *(f">{peer}" for peer in peers)]
    return f"<p>{escape(words['position_is'])}</p>" + _table(words["positions"], heads, rows, {})


def _pairs(report: dict[str, Any], words: dict[str, str]) -> str:
    sides = ("clearing", "undecided", "received", "rejected")
    rows = [
        [" | ".join(pair["towns"]), *(f"{pair[side][0]} | {pair[side][1]}" for side in sides), pair["difference"]]
        for pair in report["pairs"]
    ]
    if not rows:
        return ""
    heads = ["pair", *(f">{side}" for side in sides), ">difference"]
    return f"<p>{escape(words['pairs_are'])}</p>" + _table(words["pairs"], heads, rows, words)


def _listed(report: dict[str, Any], words: dict[str, str]) -> str:
    said = f"<p>{escape(words['listed_are'])}</p>"
    rows = [
        [row["town"], _said(row["kind"], words, KINDS.get(row["kind"])), row["count"], row["minutes"], _entries(row)]
        for row in report["listed"]
    ]
    if not rows:
        return said + f"<p>{escape(words['no_listed'])}</p>"
    return said + _table(words["listed"], ["town", "what", ">times", ">minutes", "where_entries"], rows, words)


def _money(report: dict[str, Any], words: dict[str, str]) -> str:
    rows = [
        [row["town"], row["currency"], row["kind"], row["count"], row["minor_units"], _entries(row)]
        for row in report["money"]
    ]
    if not rows:
        return ""
    heads = ["town", "currency", "kind", ">times", ">minor_units", "where_entries"]
    return f"<p>{escape(words['money_is'])}</p>" + _table(words["money"], heads, rows, words)


def _entries(row: dict[str, Any]) -> str:
    return ", ".join(map(str, row["entries"])) + ("" if row["count"] == len(row["entries"]) else ", …")


def _said(english: str, words: dict[str, str], welsh: str | None) -> _Html:
    """Text of the report, which is English, in the page's language, or marked as English."""
    if words is WORDS["en"]:
        return _Html(escape(english))
    return _Html(f'<span lang="en">{escape(english)}</span>' if welsh is None else escape(welsh))


def _proves(check: dict[str, Any], words: dict[str, str]) -> _Html:
    """The name of a check is a code, as it is in both languages; what it proves is a sentence."""
    return _Html(f"{escape(check['name'])}: {_said(check['proves'], words, PROVES.get(check['code']))}")


def _code(text: str) -> _Html:
    return _Html(f"<code>{escape(text)}</code>")


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], words: dict[str, str]) -> str:
    """A table; a heading that begins with > stands over numbers. The first cell of a row is its heading."""
    right = [head.startswith(">") for head in heads]
    names = [words.get(head.removeprefix(">"), head.removeprefix(">")) for head in heads]
    top = "".join(
        f'<th scope="col"{_align(number)}>{escape(name)}</th>' for name, number in zip(names, right, strict=True)
    )
    body = []
    for row in rows:
        first, *rest = row
        cells = "".join(f"<td{_align(number)}>{_cell(cell)}</td>" for cell, number in zip(rest, right[1:], strict=True))
        body.append(f'<tr><th scope="row">{_cell(first)}</th>{cells}</tr>')
    # A caption that repeats the heading above it is for those who go from table to table.
    hidden = ' class="hide"' if caption in words.values() or not words else ""
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption{hidden}>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _align(is_number: bool) -> str:
    return ' class="n"' if is_number else ""


def _cell(value: object) -> str:
    return value if isinstance(value, _Html) else escape(str(value))
