"""`timebank sandbox` as a developer runs it: quickly there, ended by Ctrl-C, the same town after that."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running_towns import TIMEBANK, timebank, until
from timebank_client import Timebank, Unauthorised

READY_SECONDS = 60.0
"""Of a machine with much else to do; a start takes two."""


@contextmanager
def running(folder: Path, *words: str) -> Iterator[dict[str, Any]]:
    """A sandbox that is ended by Ctrl-C; yields what it told its partner."""
    said = folder.parent / "said.txt"
    with said.open("w") as out:
        child = subprocess.Popen(
            [sys.executable, str(TIMEBANK), "sandbox", "--folder", str(folder), "--port", "0", *words],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            until(
                lambda: child.poll() is not None or "Ctrl-C" in said.read_text(), seconds=READY_SECONDS, what="sandbox"
            )
            assert child.poll() is None, said.read_text()
            yield json.loads((folder / "partner.json").read_text())
        finally:
            child.send_signal(signal.SIGINT)
            assert child.wait(READY_SECONDS) == 0, said.read_text()
    text = said.read_text()
    assert text.splitlines()[-1] == "Stopped. Its data is kept."
    assert "Traceback" not in text


def ask(partner: dict[str, Any]) -> Timebank:
    return Timebank(partner["url"], client_id=partner["client_id"], client_secret=partner["client_secret"])


@pytest.mark.slow
def test_a_sandbox_is_kept_over_a_stop_settles_with_its_neighbour_and_begins_anew(tmp_path: Path) -> None:
    folder = tmp_path / "sandbox"
    with running(folder) as partner, ask(partner) as town:
        mair = partner["accounts"]["mair"]["account"]
        bryn = town.payees.resolve("bryn", node="glanmor")
        sent = town.transfers.post(payer=mair, payee=bryn, minutes=30, purpose="gift", confirmed_by="receiver")
        until(lambda: town.transfers.get(sent.id).state == "settled", seconds=60, what="the neighbour's answer")
        assert "running" in timebank("sandbox", "--folder", folder, "reset").stderr
        taken = timebank("sandbox", "--folder", tmp_path / "other", "--port", partner["url"].rpartition(":")[2])
        assert (taken.returncode, taken.stderr.count("\n")) == (2, 1), taken.stderr
        assert "cannot be bound" in taken.stderr
    with running(folder) as again, ask(again) as town:
        assert again["client_secret"] == partner["client_secret"]
        assert town.accounts.get(mair).balance == -30
        more = town.transfers.post(payer=mair, payee=bryn, minutes=5, purpose="gift", confirmed_by="receiver")
        until(lambda: town.transfers.get(more.id).state == "settled", seconds=60, what="the neighbour's answer")
    # The one whose port was taken was not made to its end; it is now.
    with running(tmp_path / "other") as other, ask(other) as town:
        assert len(list(town.accounts.list())) == 5
    with running(folder, "--reset") as anew, ask(anew) as town:
        assert [account.balance for account in town.accounts.list()] == [0] * 5
        with (
            Timebank(anew["url"], client_id="housing", client_secret=partner["client_secret"]) as old,
            pytest.raises(Unauthorised),
        ):
            old.token()
