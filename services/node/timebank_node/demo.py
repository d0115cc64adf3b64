"""The demo: three towns, half a year of exchanges, one audit. The whole flow is told here.

    read the files ─▶ open three towns ─▶ enrol people ─▶ enter every row ─▶ show the books ─▶ export ─▶ audit the files

The auditor gets the exported files and the verifier keys, nothing else. Exit status: the auditor's.
"""

from __future__ import annotations

import secrets
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from timebank_audit.report import make_report
from timebank_audit.show import show as show_report
from timebank_audit.trust import read_vkey, trust_keys
from timebank_audit.verify import verify
from timebank_contracts.amounts import LIMIT_MAX
from timebank_contracts.errors import Malformed
from timebank_kit.web import RunningServer
from timebank_node import __version__
from timebank_node.bootstrap import TownPolicy
from timebank_node.demo_load import Loader
from timebank_node.demo_show import show_life, show_positions, show_rows, show_trial_balances
from timebank_node.demo_towns import DemoNetwork, TownPlan, open_network
from timebank_node.season import Season, read_rows
from timebank_node.tables import BadRow
from timebank_node.townsfolk import MemberLine, read_members, read_towns

OWN_PAIR_LIMIT_MINUTES = 60_000
"""For a user's own file: what two towns may owe each other."""
BAD_ROWS_SHOWN = 20


def run_demo(
    out: Console,
    *,
    out_folder: Path | None,
    seed: int,
    serve: bool,
    transfers: Path | None,
    kafka: str | None,
    postgres: str | None,
    clock: str,
) -> int:
    """Run the demo; see `timebank demo --help`.

    Returns:
        The exit status: the auditor's verdict.

    Raises:
        Malformed: a file or option cannot be used; nothing was started.
    """
    if clock not in ("season", "now"):
        raise Malformed("--clock is season or now.")
    plans, people, season = _read(transfers)
    _show_bad_rows(out, season)
    if not season.rows:
        raise Malformed("The file has no row that can be entered; nothing was started.")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="timebank-demo-")))
        network = stack.enter_context(
            open_network(
                plans,
                folder / "homes",
                seed=seed,
                season_starts=season.rows[0].time if clock == "season" else None,
                kafka=kafka,
                postgres=postgres,
                # Servers outlive a run: a name of its own keeps this run's topics and journals apart.
                run=f"run{secrets.token_hex(4)}" if kafka or postgres else "",
            )
        )
        stores = "PostgreSQL" if postgres else "SQLite"
        broker = f"Apache Kafka at {kafka}" if kafka else "the broker inside this process"
        out.print(f"[bold]{len(plans)} towns[/bold], journals in {stores}, messages by {broker}.")
        if transfers is None:
            out.print("The season's data is synthetic: nobody in it is real.")
        _load_and_show(out, network, people, season)
        logs = folder / "logs" if out_folder is None else out_folder
        status = export_and_audit(out, network, logs)
        if serve:
            _serve(out, network)
    return status


def _read(transfers: Path | None) -> tuple[list[TownPlan], list[MemberLine], Season]:
    """The towns, the people and the rows: the shipped season, or the user's own rows between the same towns."""
    towns = read_towns(_shipped("towns.csv"))
    if transfers is None:
        plans = [
            TownPlan(
                name=town.town,
                title=town.title,
                policy=TownPolicy(default_floor=town.default_floor, default_ceiling=town.default_ceiling),
                pair_limit=town.pair_limit,
            )
            for town in towns
        ]
        return plans, read_members(_shipped("members.csv")), read_rows(_shipped("exchanges.csv"))
    try:
        season = read_rows(transfers.read_bytes())
    except OSError as error:
        raise Malformed(f"{transfers} cannot be read: {error.strerror}.") from error
    known = {town.town for town in towns}
    season = _without_other_towns(season, known)
    policy = TownPolicy(default_ceiling=LIMIT_MAX, debt_limit=LIMIT_MAX, grant_cap=LIMIT_MAX)
    plans = [
        TownPlan(name=town, title=town.capitalize(), policy=policy, pair_limit=OWN_PAIR_LIMIT_MINUTES)
        for town in sorted(known)
    ]
    people = [MemberLine(town, handle, "member", handle, None, None) for town, handle in season.people()]
    return plans, people, season


def _without_other_towns(season: Season, known: set[str]) -> Season:
    """The season without rows that name a town which the demo does not have: those are named like other bad rows."""
    reason = f"The demo's towns are {', '.join(sorted(known))}; name one of them."
    other = [
        BadRow(row.line, "payee_town" if row.payer_town in known else "payer_town", reason)
        for row in season.rows
        if not {row.payer_town, row.payee_town} <= known
    ]
    lines = {bad.line for bad in other}
    kept = [row for row in season.rows if row.line not in lines]
    return replace(season, rows=kept, refused=sorted([*season.refused, *other], key=lambda bad: bad.line))


def _shipped(name: str) -> bytes:
    """A file of the season: beside this package where it was installed, or in the checkout."""
    for folder in (Path(__file__).parent / "season_files", Path(__file__).parents[3] / "deploy" / "demo"):
        if (folder / name).exists():
            return (folder / name).read_bytes()
    raise Malformed(f"The demo's file {name} is missing; install the distribution again.")


def _show_bad_rows(out: Console, season: Season) -> None:
    for bad in season.refused[:BAD_ROWS_SHOWN]:
        column = f", column {bad.column}" if bad.column else ""
        out.print(f"Line {bad.line}{column}: {bad.reason} The line is left out.")
    if len(season.refused) > BAD_ROWS_SHOWN:
        out.print(f"… and {len(season.refused) - BAD_ROWS_SHOWN:,} more lines that cannot be read.")
    if season.ignored:
        out.print(f"Columns that mean nothing here: {', '.join(season.ignored)}.")


def _load_and_show(out: Console, network: DemoNetwork, people: list[MemberLine], season: Season) -> None:
    loader = Loader(network)
    with _bar(out) as bar:
        enrolling = bar.add_task("enrolling people", total=len(people))
        loader.enrol(people, progress=lambda: bar.advance(enrolling))
        entering = bar.add_task("entering exchanges", total=len(season.rows))
        loaded = loader.load(season, progress=lambda count: bar.advance(entering, count))
    show_rows(out, season, loaded)
    show_trial_balances(out, network)
    show_positions(out, network)
    show_life(out, network)


@contextmanager
def _bar(out: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out) as bar:
        yield bar


def export_and_audit(out: Console, network: DemoNetwork, logs: Path) -> int:
    """Write each town's log into `logs/<town>` and audit those files; returns the auditor's exit status."""
    vkeys = []
    for name, town in network.towns.items():
        registries = town.town.federation.registries.envelopes
        size = town.town.ledger.export(logs / name, vkey=town.home.vkey, registries=registries)
        vkeys.append(read_vkey(town.home.vkey))
        out.print(f"Exported {size:,} entries of {town.title} to {logs / name}")
    out.print("\n[bold]The auditor reads the exported files, and trusts nobody.[/bold]")
    audit = verify([logs / name for name in network.towns], trust=trust_keys(vkeys))
    report = make_report(audit, version=__version__)
    show_report(report, out)
    status: int = report["exit"]
    return status


def _serve(out: Console, network: DemoNetwork) -> None:
    """Leave the towns running until a signal comes."""
    servers = []
    try:
        for town in network.towns.values():
            port = int(town.home.described.url.rpartition(":")[2])
            servers.append(RunningServer(town.town.app, port=port))
            if not network.threaded:
                town.town.start()
        for town, server in zip(network.towns.values(), servers, strict=True):
            out.print(
                f"{town.title}: {server.url}/ (the town), {server.url}/openapi.json (its API), {server.url}/checkpoint"
            )
            token = town.town.directory.token("operate", "transfers:write", "accounts:read", "audit:read")
            out.print(f"  an operator's token for 15 minutes: {token}", soft_wrap=True)
        out.print("Ctrl-C ends it.")
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        while not ended.wait(timeout=1.0):
            pass
    finally:
        for server in servers:
            server.stop()
