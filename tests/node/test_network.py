"""The operators' commands: a registry made, changed and signed on separate machines, published, shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.node.test_cli import init, made, refusal
from timebank_contracts.keys import SigningKey, b64_encode
from timebank_contracts.registry import Registry, open_registry
from timebank_federation.registries import Registries
from timebank_kit.files import write_secret
from timebank_node.home import read_description

KEYS = [SigningKey(bytes([40 + number]) * 32) for number in range(3)]
PUBLIC = [b64_encode(key.public) for key in KEYS]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with two homes, three operators' keys, and version 1, which two of them signed, in both homes."""
    for node in ("aberdare", "barry"):
        init(tmp_path / node, node)
    for number, key in enumerate(KEYS):
        write_secret(tmp_path / f"{number}.key", bytes([40 + number]) * 32)
        assert SigningKey((tmp_path / f"{number}.key").read_bytes()).public == key.public
    words: list[object] = [tmp_path / node / "node.json" for node in ("aberdare", "barry")]
    for public in PUBLIC[:2]:
        words += ["--operator", public]
    made("network", "init", *words, "--k", 2, "--out", tmp_path / "v1")
    sign(tmp_path, "v1", 0, 1)
    for node in ("aberdare", "barry"):
        made("node", "accept", tmp_path / node, tmp_path / "v1")
    return tmp_path


def sign(place: Path, name: str, *numbers: int) -> None:
    for number in numbers:
        made("network", "sign", place / name, "--operator", place / f"{number}.key")


def propose(place: Path, name: str, *words: object) -> None:
    made("network", "propose", place / "aberdare", *words, "--out", place / name)


def change(place: Path, *words: object, by: tuple[int, ...] = (0, 1)) -> Registry:
    """Propose, sign and publish a change at Aberdare; returns the registry in force."""
    propose(place, "next", *words)
    sign(place, "next", *by)
    made("network", "publish", place / "next", "--home", place / "aberdare")
    latest = Registries(place / "aberdare" / "registry").latest
    assert latest is not None
    return latest


def test_a_change_counts_when_k_operators_signed_it_on_their_own_machines(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    propose(place, "v2", "--limit-hours", "barry=5")
    assert "not signed" in refusal(capsys, "network", "publish", place / "v2", "--home", place / "aberdare")
    made("network", "sign", place / "v2", "--operator", place / "0.key", "--out", place / "v2-by-0")
    said = refusal(capsys, "network", "publish", place / "v2-by-0", "--home", place / "aberdare")
    assert "2 of version 1 operators must sign the registry; 1 did" in said
    made("network", "sign", place / "v2", "--operator", place / "1.key", "--out", place / "v2-by-1")
    made("network", "publish", place / "v2-by-0", place / "v2-by-1", "--home", place / "aberdare")
    latest = Registries(place / "aberdare" / "registry").latest
    assert latest is not None
    assert latest.version == 2
    barry = latest.find("barry")
    assert barry is not None
    assert barry.limit == 300


def test_a_stranger_s_signature_counts_for_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    propose(place, "v2", "--suspend", "barry")
    sign(place, "v2", 0, 2)
    assert "1 did" in refusal(capsys, "network", "publish", place / "v2", "--home", place / "aberdare")


def test_a_new_operator_s_version_is_signed_by_k_of_the_old_and_k_of_the_new(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    propose(place, "v2", "--add-operator", PUBLIC[2])
    sign(place, "v2", 0, 2)
    assert "1 did" in refusal(capsys, "network", "publish", place / "v2", "--home", place / "aberdare")
    sign(place, "v2", 1)
    made("network", "publish", place / "v2", "--home", place / "aberdare")
    change(place, "--remove-operator", PUBLIC[0], by=(1, 2))
    assert change(place, "--k", 1, by=(1, 2)).operators.k == 1
    assert change(place, "--suspend", "barry", by=(2,)).version == 5


def test_nodes_are_suspended_reopened_closed_and_moved(place: Path) -> None:
    def barry(registry: Registry) -> object:
        found = registry.find("barry")
        assert found is not None
        return found.state, found.url, found.protocols

    assert barry(change(place, "--suspend", "barry")) == ("suspended", "http://127.0.0.1:8102", [1])
    assert barry(change(place, "--reopen", "barry")) == ("open", "http://127.0.0.1:8102", [1])
    assert barry(change(place, "--url", "barry=https://barry.example")) == ("open", "https://barry.example", [1])
    assert barry(change(place, "--protocols", "barry=2,1")) == ("open", "https://barry.example", [1, 2])
    assert barry(change(place, "--close", "barry")) == ("closed", "https://barry.example", [1, 2])


def test_a_town_joins_by_its_description(place: Path) -> None:
    made(
        "node",
        "init",
        place / "cardiff",
        "--network",
        "timebank.example",
        "--node",
        "cardiff",
        "--url",
        "http://c.example",
    )
    joined = change(place, "--add-node", place / "cardiff" / "node.json")
    assert [node.node for node in joined.nodes] == ["aberdare", "barry", "cardiff"]


def test_witnesses_come_and_go(place: Path) -> None:
    key = b64_encode(SigningKey(bytes([90]) * 32).public)
    named = change(place, "--add-witness", f"witness.example/w1={key}@https://witness.example")
    assert [witness.name for witness in named.witnesses or ()] == ["witness.example/w1"]
    assert not change(place, "--remove-witness", "witness.example/w1").witnesses


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "exactly one change"),
        (["--suspend", "barry", "--k", "1"], "exactly one change"),
        (["--suspend", "dyffryn"], "not in the registry"),
        (["--limit-hours", "barry=1.5"], "whole number of hours"),
        (["--limit-hours", "barry"], "barry=100"),
        (["--limit-hours", "barry=100"], "changes nothing"),
        (["--protocols", "barry=one"], "numbers"),
        (["--remove-operator", PUBLIC[2]], "no operator's"),
        (["--remove-witness", "nobody"], "no witness"),
        (["--remove-operator", PUBLIC[1]], "k is greater"),
        (["--url", "barry=ftp://barry"], "url"),
    ],
)
def test_a_change_that_cannot_be_is_one_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert says in refusal(capsys, "network", "propose", place / "aberdare", *words, "--out", place / "v2")
    assert not (place / "v2").exists()


def test_the_page_says_hash_signers_and_what_differs(place: Path) -> None:
    propose(place, "v2", "--limit-hours", "barry=5")
    sign(place, "v2", 1)
    page = made("network", "show", place / "v2", "--before", place / "aberdare")
    first = open_registry((place / "v1").read_bytes(), previous=None)
    assert "Registry version 2 of timebank.example" in page
    assert f"follows  {first.sha256}" in page
    assert "by 1 of 2 operators; 2 must" in page
    assert "barry: limit was 6000, is 300" in page
    assert "The first version" in made("network", "show", place / "v1")
    change(place, "--suspend", "barry")
    assert "barry: state was open, is suspended" in made("network", "show", place / "aberdare")


def test_two_signed_documents_of_one_version_stop_with_both_hashes_as_evidence(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PROTOCOL.md R6."""
    propose(place, "one", "--suspend", "barry")
    propose(place, "other", "--suspend", "aberdare")
    sign(place, "one", 0, 1)
    sign(place, "other", 0, 1)
    made("network", "publish", place / "one", "--home", place / "aberdare")
    said = refusal(capsys, "network", "publish", place / "other", "--home", place / "aberdare")
    [evidence] = (place / "aberdare" / "registry").glob("fork-*.json")
    kept = json.loads(evidence.read_bytes())
    assert kept["held_sha256"] in said
    assert kept["rival_sha256"] in said
    assert (kept["held"].encode(), kept["rival"].encode()) == (
        (place / "one").read_bytes(),
        (place / "other").read_bytes(),
    )
    propose(place, "three", "--reopen", "barry")
    sign(place, "three", 0, 1)
    assert "forked" in refusal(capsys, "network", "publish", place / "three", "--home", place / "aberdare")


def test_a_key_file_that_others_can_read_signs_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    propose(place, "v2", "--suspend", "barry")
    (place / "0.key").chmod(0o644)
    assert "chmod 600" in refusal(capsys, "network", "sign", place / "v2", "--operator", place / "0.key")


def test_what_is_no_registry_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "junk").write_bytes(b"{}")
    assert "no registry document" in refusal(capsys, "network", "show", place / "junk")
    assert "not in force" in refusal(
        capsys, "network", "propose", made_unsigned(place), "--suspend", "barry", "--out", place / "v3"
    )


def made_unsigned(place: Path) -> Path:
    propose(place, "v2", "--suspend", "barry")
    return place / "v2"


def test_a_town_joins_and_leaves_by_its_own_request(place: Path) -> None:
    made(
        "node",
        "init",
        place / "cardiff",
        "--network",
        "timebank.example",
        "--node",
        "cardiff",
        "--url",
        "http://c.example",
    )
    made("node", "join", place / "cardiff", "--out", place / "request")
    joined = change(place, "--request", place / "request")
    assert [node.node for node in joined.nodes] == ["aberdare", "barry", "cardiff"]
    versions = [place / "aberdare" / "registry" / f"{version}.json" for version in (1, 2)]
    made(
        "node",
        "accept",
        place / "cardiff",
        *versions,
        "--sha256",
        open_registry(versions[0].read_bytes(), previous=None).sha256,
    )
    made("node", "leave", place / "cardiff", "--out", place / "request")
    left = change(place, "--request", place / "request").find("cardiff")
    assert left is not None
    assert left.state == "closed"


def test_a_key_is_rotated_in_two_steps(place: Path) -> None:
    """PROTOCOL.md R8."""

    def step() -> list[str]:
        made("node", "rotate-key", place / "aberdare", "--out", place / "request")
        found = change(place, "--request", place / "request").find("aberdare")
        assert found is not None
        return found.event_keys

    _, new = step()
    assert step() == [new]
    newer = step()
    assert newer[0] == new
    assert len(newer) == 2


def test_a_log_key_is_rotated_in_two_steps_each_of_which_may_be_cut_off(place: Path) -> None:
    """PROTOCOL.md R8."""
    home = place / "aberdare"

    def ask() -> list[str]:
        made("node", "rotate-log-key", home, "--out", place / "request")
        return read_description(home / "node.json")[1].log_keys

    def publish() -> list[str]:
        found = change(place, "--request", place / "request").find("aberdare")
        assert found is not None
        return found.log_keys

    old = (home / "keys" / "log.key").read_bytes()
    assert ask() == ask() == publish()
    assert (home / "keys" / "log.key").read_bytes() == old, "the old key signs until both are in force"
    (alone,) = ask()
    assert (home / "keys" / "log.key").read_bytes() != old
    assert ask() == publish() == [alone]
    first, second = ask()
    assert first == alone
    assert second != alone


def test_a_stolen_key_is_gone_at_once_and_the_operators_are_asked_for_the_new_one(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PROTOCOL.md R8."""
    stolen = (place / "aberdare" / "keys" / "event.key").read_bytes()
    made("node", "retire-key", place / "aberdare", "--out", place / "request")
    assert (place / "aberdare" / "keys" / "event.key").read_bytes() != stolen
    assert "retire-key" in refusal(capsys, "node", "rotate-key", place / "aberdare", "--out", place / "other")
    found = change(place, "--request", place / "request").find("aberdare")
    assert found is not None
    assert b64_encode(SigningKey(stolen).public) not in found.event_keys
    assert len(found.event_keys) == 1


def test_a_request_of_another_s_making_changes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(
        "node",
        "init",
        place / "evil",
        "--network",
        "timebank.example",
        "--node",
        "aberdare",
        "--url",
        "http://e.example",
    )
    made("node", "join", place / "evil", "--out", place / "request")
    words = ("network", "propose", place / "aberdare", "--request", place / "request", "--out", place / "v2")
    assert "in the network already" in refusal(capsys, *words)
    made("node", "init", place / "far", "--network", "far.example", "--node", "far", "--url", "http://f.example")
    made("node", "join", place / "far", "--out", place / "request")
    assert "far.example" in refusal(capsys, *words)
