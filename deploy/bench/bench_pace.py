"""From town to town at half the load: how long a transfer is under way while others are.

The times are those of two entries of the sending town: the one that sends a transfer, and the one that settles it.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from datetime import UTC, datetime

from msgspec import UNSET

from deploy.bench.bench_towns import TOWNS, wait_settled
from deploy.bench.exchanges import account, bodies
from deploy.bench.load import apart, post_batches
from deploy.bench.nodes import RunningTown, running_towns
from deploy.bench.setting import Setting
from deploy.bench.table import percentile
from timebank_contracts.entries import TransferSent, TransferSettled, decode_entry
from timebank_contracts.messages import TransferSentMessage, decode_message
from timebank_contracts.moments import parse_time
from timebank_contracts.tiles import decode_bundle

NAME = "town_to_town.half_load"
TRANSFERS_PER_SECOND = 4_000
"""Half of what issue 5 aims at."""
SECONDS, SECONDS_QUICK = 10, 1
BATCH = 100
CONNECTIONS = 2
PAGE_ENTRIES = 1_024


def bench_pace(setting: Setting) -> None:
    """The median, and the slowest hundredth, of the time from sent to settled."""
    if not setting.wants(NAME):
        return
    count = TRANSFERS_PER_SECOND * setting.count(SECONDS, quick=SECONDS_QUICK)
    with ExitStack() as stack:
        urls = [stack.enter_context(setting.journal_url("postgresql")) for _ in TOWNS]
        with running_towns(setting, TOWNS, urls=urls, kafka=setting.bootstrap()) as [payers, payees]:
            answer = payees.ask("POST", f"/v1/accounts/{account(0)}/aliases", json={})
            some = bodies(count, datetime.now(UTC), alias=(payees.home.identity.node, answer.json()["alias"]))
            with apart(
                post_batches,
                payers.plan.port,
                payers.token,
                some,
                connections=CONNECTIONS,
                run=secrets.token_hex(4),
                batch=BATCH,
                every_seconds=CONNECTIONS * BATCH / TRANSFERS_PER_SECOND,
            ) as done:
                posted = done.result()
            wait_settled(payers, count)
            seconds = _seconds_under_way(payers)
    reached = count / (posted.ended - posted.began)
    note = f"{len(seconds):,} transfers, {reached:,.0f} a second of the {TRANSFERS_PER_SECOND:,} wanted"
    for percent in (50, 99):
        setting.figures.add(f"{NAME}.p{percent}_ms", 1e3 * percentile(seconds, percent), "ms", note)


def _seconds_under_way(town: RunningTown) -> list[float]:
    """Of each settled transfer in a town's journal."""
    sent, seconds, after = dict[str, str](), list[float](), -1
    page = [b""]
    while page:
        answer = town.ask("GET", "/v1/journal", params={"after": after, "limit": PAGE_ENTRIES})
        page = decode_bundle(answer.content, count_max=PAGE_ENTRIES)
        for raw in page:
            entry = decode_entry(raw)
            after = entry.n
            if isinstance(entry, TransferSent):
                message = None if entry.out is UNSET else decode_message(bytes(entry.out))
                assert isinstance(message, TransferSentMessage), "transfer.sent sends it"
                sent[message.data.transfer] = entry.time
            elif isinstance(entry, TransferSettled):
                under_way = parse_time(entry.time) - parse_time(sent.pop(entry.data.transfer))
                seconds.append(under_way.total_seconds())
    return seconds
