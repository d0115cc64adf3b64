"""The town at a glance: figures and nobody's name, well-formed, closed to strangers' scripts, honest when it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from tests.federation.towns import FederatedTown, Line, Network, open_towns
from timebank_console.app import make_app
from timebank_kit.web import AsgiBridge

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """A page taken apart; fails where a tag is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1:] != ["style"]:
            self.words.append(data.strip())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with open_towns(tmp_path, "aberdare", "barry") as opened:
        opened.send("aberdare", "barry", 90, key="k1")
        opened.send("barry", "aberdare", 30, key="k2")
        opened.pump()
        yield opened


def console(town: FederatedTown, line: Line, *, title: str = "Aberdare <&> Timebank") -> httpx.Client:
    app = make_app(
        town.home.identity, httpx.Client(transport=line, base_url="http://ledger"), lambda: token(town), title=title
    )
    return httpx.Client(transport=AsgiBridge(app), base_url="http://console")


def token(town: FederatedTown) -> str:
    return town.directory.token("reports:read", "audit:read", "operate")


@pytest.fixture
def line(network: Network) -> Iterator[Line]:
    opened = Line(network["aberdare"].ledger.app)
    yield opened
    opened.close()


@pytest.fixture
def http(network: Network, line: Line) -> Iterator[httpx.Client]:
    with console(network["aberdare"], line) as client:
        yield client


def test_the_page_shows_totals_positions_streams_and_checkpoint(network: Network, http: httpx.Client) -> None:
    answer = http.get("/")
    text = " ".join(Page(answer.text).words)
    assert answer.status_code == 200
    trial = network["aberdare"].ask_ledger("GET", "/v1/trial-balance").json()
    for shown in ("Member", "Clearing", "Barry", "1:00", "1:30", "0:30", "open", f"{trial['entries']:,}"):
        assert shown in text, shown
    assert network["aberdare"].ledger.writer.checkpoint().decode().strip() in answer.text


def test_nobody_is_named_and_no_account_is_shown(network: Network, http: httpx.Client) -> None:
    text = http.get("/").text
    town = network["aberdare"]
    for personal in ("alys", "bryn", "Name of", *town.accounts.values()):
        assert personal not in text


def test_what_comes_from_elsewhere_is_escaped(http: httpx.Client) -> None:
    assert "<&>" not in http.get("/").text
    assert "Aberdare &lt;&amp;&gt; Timebank" in http.get("/").text


def test_the_page_can_be_read_by_a_machine_that_reads_aloud(http: httpx.Client) -> None:
    page = Page(http.get("/").text)
    assert page.of("html")[0]["lang"] == "en"
    assert [len(page.of(tag)) for tag in ("h1", "main", "title")] == [1, 1, 1]
    assert {attributes.get("scope") for attributes in page.of("th")} == {"row", "col"}
    assert len(page.of("caption")) == len(page.of("table"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for section in page.of("section"):
        assert section["aria-labelledby"] in ids
    assert not page.of("script")


def test_the_page_runs_no_script_loads_nothing_and_is_framed_by_nobody(http: httpx.Client) -> None:
    answer = http.get("/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "http" not in " ".join(str(attributes) for _, attributes in Page(answer.text).tags)


def test_a_ledger_that_is_away_is_said_in_a_sentence(http: httpx.Client, line: Line) -> None:
    line.is_cut = True
    answer = http.get("/")
    page = Page(answer.text)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert "content-security-policy" in answer.headers
    assert "The ledger does not answer just now" in page.words
    assert len(page.of("h1")) == 1
    line.is_cut = False
    assert http.get("/").status_code == 200


def test_a_town_without_anything_says_what_to_do_first(tmp_path: Path) -> None:
    with open_towns(tmp_path / "alone", "ely") as network:
        line = Line(network["ely"].ledger.app)
        with console(network["ely"], line) as http:
            text = " ".join(Page(http.get("/").text).words)
        line.close()
    assert "This town is not in a network yet" in text


def test_a_path_that_is_none_is_a_problem(http: httpx.Client) -> None:
    assert http.get("/members").json()["code"] == "not_found"
    assert http.post("/").json()["code"] == "method_not_allowed"
