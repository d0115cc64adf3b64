"""An auditor's own copy: only what is new is taken, and nothing that the log's key did not sign is kept."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.audit.builder import Network, Writer, key
from tests.audit.season import season
from timebank_audit.cli import app
from timebank_audit.collect import collect
from timebank_audit.doors import NodeAway, NodeDoor
from timebank_audit.edge import Unsound
from timebank_contracts.checkpoint import Checkpoint, cosign, open_checkpoint, sign_checkpoint
from timebank_contracts.errors import Malformed
from timebank_contracts.note import VerifierKey
from timebank_contracts.tiles import TileName, encode_bundle, parse_tile_path


class PaperDoor:
    """A log on paper, which may lie or fall silent."""

    def __init__(self, town: Writer) -> None:
        self.town = town
        self.raws = list(town.raws)
        self.asked: list[TileName] = []
        self.answers = 1_000
        self.notes: list[bytes] = []
        self.others: list[bytes] = []

    def checkpoint(self) -> bytes:
        return self.town.note()

    def bundle(self, name: TileName) -> bytes:
        self.answers -= 1
        if self.answers < 0:
            raise NodeAway("It is silent.")
        self.asked.append(name)
        return encode_bundle(self.raws[name.number * 256 : name.number * 256 + name.width])

    def registry(self, version: int) -> bytes | None:
        return self.town.registries.get(version)

    def cosigned(self) -> list[bytes]:
        return self.notes

    def held(self, origins: Collection[str]) -> list[bytes]:
        return self.others


def long_town(size: int) -> Writer:
    town = Network("aberdare").towns["aberdare"]
    while len(town.raws) < size:
        town.give(1, payer="alys" if len(town.raws) % 2 else "bryn")
    return town


def vkey(town: Writer) -> VerifierKey:
    return VerifierKey(town.identity.origin, town.log_key.public)


def line_of(town: Writer) -> bytes:
    """A cosignature of the town's checkpoint."""
    checkpoint = open_checkpoint(town.note(), vkey(town))
    return cosign(checkpoint, name="w1", key=key("witness"), at_seconds=1_800_000_000)


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_only_what_is_new_is_taken_and_the_earlier_checkpoint_is_kept(tmp_path: Path) -> None:
    town = long_town(600)
    first = PaperDoor(town)
    done = collect(first, tmp_path / "aberdare", vkey(town))
    assert (done.before, done.now.size, done.bundles, done.missing) == (None, 600, 3, [])
    town.give(1)
    second = PaperDoor(town)
    done = collect(second, tmp_path / "aberdare", vkey(town))
    assert [name.number for name in second.asked] == [2]
    assert collect(PaperDoor(town), tmp_path / "aberdare", vkey(town)).bundles == 0
    assert [path.name[:4] for path in (tmp_path / "aberdare/checkpoints").iterdir()] == ["600-"]
    code, printed = run("verify", tmp_path, "--vkey", vkey(town).text)
    assert code == 0, printed


def test_a_run_that_was_cut_off_is_finished_by_the_next(tmp_path: Path) -> None:
    town = long_town(600)
    door = PaperDoor(town)
    door.answers = 2
    with pytest.raises(NodeAway):
        collect(door, tmp_path / "a", vkey(town))
    assert not (tmp_path / "a/checkpoint").exists()
    again = PaperDoor(town)
    collect(again, tmp_path / "a", vkey(town))
    assert [name.number for name in again.asked] == [2]


def test_an_entry_that_was_not_signed_is_not_kept_and_the_next_run_mends_it(tmp_path: Path) -> None:
    town = long_town(300)
    collect(PaperDoor(town), tmp_path / "a", vkey(town))
    town.give(1)
    liar = PaperDoor(town)
    liar.raws[-1] = liar.raws[-1].replace(b"garden", b"repair")
    with pytest.raises(Unsound):
        collect(liar, tmp_path / "a", vkey(town))
    assert collect(PaperDoor(town), tmp_path / "a", vkey(town)).now.size == 301


def test_a_log_that_was_rewritten_leaves_evidence_and_the_copy_as_it_was(tmp_path: Path) -> None:
    town = long_town(300)
    collect(PaperDoor(town), tmp_path / "a", vkey(town))
    kept = (tmp_path / "a/checkpoint").read_bytes()
    town.rewind(280)
    with pytest.raises(Unsound, match="contradicts itself"):
        collect(PaperDoor(town), tmp_path / "a", vkey(town))
    town.give(2)
    while len(town.raws) < 310:
        town.give(2)
    with pytest.raises(Unsound, match="contradicts itself"):
        collect(PaperDoor(town), tmp_path / "a", vkey(town))
    assert (tmp_path / "a/checkpoint").read_bytes() == kept
    assert (tmp_path / "a/contradiction").read_bytes() == town.note()
    assert run("verify", tmp_path / "a")[0] == 0


def test_another_key_collects_nothing(tmp_path: Path) -> None:
    town = long_town(20)
    with pytest.raises(Malformed, match="not signed"):
        collect(PaperDoor(town), tmp_path / "a", VerifierKey(town.identity.origin, key("stranger").public))
    assert not list((tmp_path / "a").iterdir())


def test_cosignatures_and_what_the_source_holds_of_other_logs_are_taken_too(tmp_path: Path) -> None:
    town = long_town(300)
    door = PaperDoor(town)
    line = line_of(town)
    door.notes = [town.note() + line]
    other = Checkpoint("timebank.example/barry/g1", 7, bytes(32))
    door.others = [sign_checkpoint(other, key("barry")), town.note()]
    collect(door, tmp_path / "a", vkey(town))
    assert (tmp_path / "a/checkpoint").read_bytes() == town.note() + line
    assert [path.name[:2] for path in (tmp_path / "a/notes").iterdir()] == ["7-"]
    town.give(1)
    later = PaperDoor(town)
    later.notes = door.notes
    collect(later, tmp_path / "b", vkey(town), only_cosigned=True)
    assert (tmp_path / "b/checkpoint").read_bytes() == door.notes[0]
    collect(later, tmp_path / "a", vkey(town))
    assert (tmp_path / "a/checkpoint").read_bytes() == town.note()
    [kept] = (tmp_path / "a/checkpoints").iterdir()
    assert kept.read_bytes() == door.notes[0]
    with pytest.raises(Malformed, match="come again"):
        collect(later, tmp_path / "a", vkey(town), only_cosigned=True)
    later.notes = []
    with pytest.raises(Malformed, match="no checkpoint that a witness"):
        collect(later, tmp_path / "c", vkey(town), only_cosigned=True)


def test_files_and_bundles_are_collected_as_well(tmp_path: Path) -> None:
    network = season()
    out = network.export(tmp_path / "out")
    assert run("export", out, "--into", tmp_path / "all.tar", "--tar")[0] == 0
    assert run("collect", tmp_path / "all.tar", "--into", tmp_path / "mine")[0] == 0
    network.towns["barry"].give(5)
    code, printed = run("collect", network.export(tmp_path / "later"), "--into", tmp_path / "mine")
    assert code == 0
    assert "barry/g1: 33 entries before, 34 now, 1 bundles taken" in printed
    assert run("verify", tmp_path / "mine")[0] == 0


@contextmanager
def serving(town: Writer, *, secret: bytes = b"token-1") -> Iterator[str]:
    """A node on paper behind real HTTP: a checkpoint, entries for whoever has a token, and hostile corners."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            door = PaperDoor(town)
            if self.path == "/checkpoint":
                self.say(200, door.checkpoint())
            elif self.path.startswith("/tile/entries/"):
                allowed = self.headers["Authorization"] == f"Bearer {secret.decode()}"
                self.say(*(200, door.bundle(parse_tile_path(self.path[1:]))) if allowed else (401, b""))
            elif self.path.startswith("/.well-known/timebank/registry/"):
                found = door.registry(int(self.path.rsplit("/", 1)[1]))
                self.say(200 if found else 404, found or b"")
            elif self.path == "/v1/cosigned":
                self.say(200, door.checkpoint() + line_of(town))
            elif self.path.startswith("/witnessed/"):
                self.say(404, b"")
            elif self.path.startswith("/large"):
                self.say(200, b"x" * 200_000)
            elif self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", "/checkpoint")
                self.end_headers()
            else:
                self.say(500, b"")

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            good = b"client_secret=s3cret" in asked and b"scope=audit%3Aread" in asked
            self.say(200 if good else 401, b'{"access_token":"%s"}' % secret)

        def say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_node_is_collected_by_a_client_with_its_secret_or_a_token(tmp_path: Path) -> None:
    town = long_town(300)
    secret, token = tmp_path / "secret", tmp_path / "token"
    secret.write_text("s3cret\n")
    token.write_text("token-1\n")
    for file in (secret, token):
        file.chmod(0o600)
    words: list[str | Path] = ["--into", tmp_path / "mine", "--vkey", vkey(town).text]
    with serving(town) as url:
        code, printed = run("collect", url, *words, "--client", "auditor", "--secret-file", secret)
        assert code == 0, printed
        [taken] = (tmp_path / "mine").glob("*/checkpoint")
        assert taken.read_bytes() == town.note() + line_of(town)
        assert run("collect", url, *words, "--token-file", token)[0] == 0
        assert run("collect", url, *words)[0] == 2
        secret.chmod(0o644)
        assert "chmod 600" in run("collect", url, *words, "--client", "auditor", "--secret-file", secret)[1]
        secret.chmod(0o600)
        secret.write_text("wrong")
        town.give(1)
        code, printed = run("collect", url, *words, "--client", "auditor", "--secret-file", secret)
        assert (code, "does not let this client in" in printed) == (2, True)
    assert run("verify", tmp_path / "mine", "--vkey", vkey(town).text)[0] == 0
    assert run("collect", url, *words, "--token-file", token)[0] == 2


def test_what_a_hostile_node_answers_is_bounded(tmp_path: Path) -> None:
    with serving(long_town(20)) as url:
        with pytest.raises(Malformed, match="more than"):
            NodeDoor(f"{url}/large").checkpoint()
        for path in ("moved", "broken"):
            with pytest.raises(NodeAway, match="answered"):
                NodeDoor(f"{url}/{path}").checkpoint()


@pytest.mark.parametrize(
    "url",
    [
        "http://town.example",
        "https://user@town.example",
        "ftp://town.example",
        "https://",
        "https://a?b",
        "https://a#b",
    ],
)
def test_an_address_that_would_show_a_token_is_refused(url: str) -> None:
    with pytest.raises(Malformed):
        NodeDoor(url)
