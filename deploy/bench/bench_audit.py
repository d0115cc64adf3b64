"""The auditor on a town of local transfers: the rules alone from bytes in memory, then everything from its export."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

from msgspec import UnsetType

from deploy.bench.bench_journal import IDENTITY, LOG_KEY, opened_writer, submit_all
from deploy.bench.bench_plain import Plain, Transfer, environment
from deploy.bench.exchanges import post_commands
from deploy.bench.setting import BenchTrouble, Setting
from timebank_audit.export import export
from timebank_audit.texts import hledger_text
from timebank_audit.verify import verify
from timebank_contracts.book import READING, Book, apply
from timebank_contracts.days import ZONE_DEFAULT
from timebank_contracts.note import VerifierKey
from timebank_contracts.plain_transfers import PlainTransfers
from timebank_kit.journal import scan
from timebank_ledger.publication import export_town

TRANSFERS, TRANSFERS_QUICK = 150_000, 2_000
BUNDLE_ENTRIES = 256


def bench_audit(setting: Setting) -> None:
    """Entries a second: decoding and `apply`; and the whole verification of an export."""
    if not setting.wants("audit"):
        return
    folder = setting.new_folder()
    raws = _export(setting, folder)
    began = time.perf_counter()
    book, keys = Book(), list[str | UnsetType]()
    plain = PlainTransfers(book, leave=lambda _: False)
    for start in range(0, len(raws), BUNDLE_ENTRIES):
        for entry in plain.replay(raws[start : start + BUNDLE_ENTRIES], keys):
            assert type(entry) not in READING, "this load takes nothing back"
            apply(book, entry)
    seconds = time.perf_counter() - began
    note = f"{len(raws):,} entries decoded, held to be canonical, and judged by `apply`"
    setting.figures.add("audit.replay.entries_per_s", len(raws) / seconds, "entries/s", note)
    add_verified(setting, "audit.verify.entries_per_s", [folder], "one town of local transfers")
    _add_cpu(setting, "audit.quick.entries_per_cpu_s", folder, "bytes, tree, tiles, `apply`, sums, from an export")
    bundle = setting.new_folder() / "town.tbaudit"
    export([folder], bundle, tar=True)
    _add_cpu(setting, "audit.full.entries_per_cpu_s", bundle, "the same from a bundle, and every file's hash")
    _add_hledger(setting, folder)
    _add_plain_decode(setting)


def _add_hledger(setting: Setting, folder: Path) -> None:
    """Beside it: `hledger check` on the same town's journal: sums, balances and dates, and no signature."""
    hledger = shutil.which("hledger")
    if hledger is None:
        raise BenchTrouble("hledger is not installed: on Debian, apt-get install hledger.")
    [town] = verify([folder]).towns
    file = setting.new_folder() / "town.journal"
    with file.open("w", encoding="utf-8") as out:
        out.writelines(hledger_text(town, ZoneInfo(ZONE_DEFAULT)))
    before = os.times()
    command = [hledger, "-f", str(file), "check", "--strict"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  (our own words)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    note = f"{town.size:,} entries in {used:.1f} s of processor time: `hledger check --strict` on the exported journal"
    setting.figures.add("audit.hledger_check.entries_per_cpu_s", town.size / used, "entries/s", note)


def _add_plain_decode(setting: Setting) -> None:
    """Beside it: the `eventsourcing` library's own decoding of a transfer's event, without judging anything."""
    count = setting.count(TRANSFERS, quick=TRANSFERS_QUICK) // 10
    with closing(Plain(environment("memory", "memory:", cached=False))) as plain:
        transfer = Transfer(uuid4(), uuid4(), 60)
        [made] = transfer.collect_events()
        stored = [plain.mapper.to_stored_event(made) for _ in range(count)]
        used = time.process_time()
        for one in stored:
            plain.mapper.to_domain_event(one)
        used = time.process_time() - used
    note = (
        f"{count:,} events in {used:.1f} s of processor time: the `eventsourcing` library's own decode, nothing judged"
    )
    setting.figures.add("audit.plain_decode.events_per_cpu_s", count / used, "events/s", note)


def _add_cpu(setting: Setting, name: str, path: Path, what: str) -> None:
    """Entries for a second of processor time: what else runs on the machine matters less."""
    used = time.process_time()
    audit = verify([path])
    used = time.process_time() - used
    if audit.findings.found:
        raise BenchTrouble(f"The auditor found: {audit.findings.found[0]}")
    size = sum(town.size for town in audit.towns)
    setting.figures.add(name, size / used, "entries/s", f"{size:,} entries in {used:.1f} s of processor time: {what}")


def add_verified(setting: Setting, name: str, folders: list[Path], what: str) -> None:
    """Audit exports whole, and keep how fast; raises `BenchTrouble` when the auditor finds a fault."""
    began, used = time.perf_counter(), time.process_time()
    audit = verify(folders)
    seconds, used = time.perf_counter() - began, time.process_time() - used
    if audit.findings.found:
        raise BenchTrouble(f"The auditor found: {audit.findings.found[0]}")
    size = sum(town.size for town in audit.towns)
    note = f"{size:,} entries in {seconds:.1f} s ({used:.1f} s of CPU), all checks, from files: {what}"
    setting.figures.add(name, size / seconds, "entries/s", note)


def _export(setting: Setting, folder: Path) -> list[bytes]:
    """Export a town of the usual load; returns its entries."""
    count = setting.count(TRANSFERS, quick=TRANSFERS_QUICK)
    with opened_writer("memory:") as writer:
        submit_all(writer, post_commands(count, writer.clock.now()))
        checkpoint = writer.checkpoint(fresh=True)
        vkey = VerifierKey(IDENTITY.origin, LOG_KEY.public)
        export_town(writer.journal, checkpoint=checkpoint, vkey=vkey, registries={}, directory=folder)
        return [record.state for record in scan(writer.journal, 0, writer.journal.length())]
