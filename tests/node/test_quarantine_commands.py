"""What had no effect is listed, shown and handed in again, against two towns that run in this process."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from tests.federation.towns import open_towns
from tests.node.test_cli import init, made, refusal
from timebank_contracts.errors import Malformed
from timebank_federation.quarantine import Quarantine
from timebank_kit.web import AsgiBridge
from timebank_node.commands_quarantine import (
    kept_in,
    list_quarantine,
    node_token_of,
    retry_quarantined,
    show_quarantined,
)
from timebank_node.operator_door import OperatorDoor


@pytest.mark.slow
def test_a_segment_is_listed_shown_without_its_messages_and_handed_in_again(tmp_path: Path) -> None:
    """What an operator does after a mistake of their own node was mended."""
    text = StringIO()
    out = Console(file=text, width=200)
    folder = tmp_path / "kept"
    with open_towns(tmp_path, "aberdare", "barry") as network:
        network.send("aberdare", "barry", 30, key="k")
        network["aberdare"].federation.sender.step(wait_seconds=0)
        raw = next(record for record in network.records("barry") if record.count(b"\n") > 1)
        Quarantine(folder).put(raw, code="internal", detail="a stranger's words")
        [item] = kept_in(folder)
        list_quarantine(out, folder)
        show_quarantined(out, folder, item.sha256[:8])
        barry = network["barry"]
        with httpx.Client(transport=AsgiBridge(barry.ledger.app)) as http:
            token = node_token_of(barry.home, network.clock)
            door = OperatorDoor(http, url="http://ledger", token=token, node="barry")
            assert retry_quarantined(out, folder, item.sha256, door)
            assert barry.stream("aberdare")["incoming"]["n"] == 1
            assert retry_quarantined(out, folder, item.sha256, door), "twice changes nothing"
            assert barry.stream("aberdare")["incoming"]["n"] == 1
            forged = network["aberdare"].segment("barry", [], key=barry.key)
            Quarantine(folder).put(forged, code="unsigned", detail="")
            [unsigned] = [kept for kept in kept_in(folder) if kept.code == "unsigned"]
            assert not retry_quarantined(out, folder, unsigned.sha256, door), "a retry opens no way round the rules"
    said = " ".join(text.getvalue().split())
    assert f"{unsigned.sha256[:12]}: unsigned" in said
    assert f"aberdare internal {len(raw)} {item.sha256[:12]} 1 in quarantine." in said
    assert f"{item.sha256[:12]}: fresh; the stream stands at 1." in said
    assert "duplicate" in said
    assert "stranger" not in said
    assert "payer" not in said


def test_rubbish_is_listed_without_a_sender_and_a_half_written_item_is_left_alone(tmp_path: Path) -> None:
    Quarantine(tmp_path / "quarantine").put(b"\xff rubbish", code="malformed", detail="no form")
    half = tmp_path / "quarantine" / f"{'ab' * 32}.segment"
    half.write_bytes(b"being written")
    said = " ".join(made("quarantine", "list", tmp_path).split())
    assert "? malformed 9 " in said
    assert said.endswith("1 in quarantine.")
    assert half.exists()
    [item] = kept_in(tmp_path / "quarantine")
    assert "no readable statement" in made("quarantine", "show", tmp_path, item.sha256)


@pytest.mark.parametrize("start", ["", "../../", "00000000", "ABCDEF"])
def test_a_hash_that_names_no_item_is_refused(tmp_path: Path, start: str) -> None:
    with pytest.raises(Malformed, match="timebank quarantine list"):
        show_quarantined(Console(file=StringIO()), tmp_path, start)


def test_a_retry_without_the_running_node_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path / "a")
    Quarantine(tmp_path / "a" / "quarantine").put(b"bytes\n", code="malformed", detail="")
    (item,) = kept_in(tmp_path / "a" / "quarantine")
    said = refusal(capsys, "quarantine", "retry", tmp_path / "a", item.sha256, "--url", "http://127.0.0.1:1")
    assert "Start the node, then retry: list and show work without it" in said
