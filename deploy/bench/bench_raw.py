"""The other comparison: double entry in plain SQL, a transfer a commit, by one connection of psycopg.

Two rows of postings, two balances kept in step, the floor checked in the statement: the least that a ledger in a
database does. No idempotency, no hash, no history that could be replayed.
"""

from __future__ import annotations

import time
from typing import LiteralString

import psycopg

from deploy.bench.exchanges import ACCOUNTS, account, exchanges
from deploy.bench.setting import BenchTrouble, Setting

TRANSFERS, TRANSFERS_QUICK = 5_000, 100
NAME = "raw_double_entry.postgresql.transfers_per_s"

_CREATE: LiteralString = """
CREATE TABLE accounts (id text PRIMARY KEY, floor bigint NOT NULL, balance bigint NOT NULL CHECK (balance >= floor));
CREATE TABLE postings (transfer bigint, account text REFERENCES accounts, minutes bigint NOT NULL,
    PRIMARY KEY (transfer, account));
"""
_POST: LiteralString = "INSERT INTO postings VALUES (%(n)s, %(payer)s, -%(minutes)s), (%(n)s, %(payee)s, %(minutes)s)"
_MOVE: LiteralString = "UPDATE accounts SET balance = balance + %s WHERE id = %s"


def bench_raw(setting: Setting) -> None:
    """Transfers a second of a double entry in SQL."""
    if not setting.wants("raw_double_entry.postgresql"):
        return
    count = setting.count(TRANSFERS, quick=TRANSFERS_QUICK)
    with setting.database() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_CREATE)
        with connection.cursor() as cursor:
            rows = [(account(number), -10_000_000) for number in range(ACCOUNTS)]
            cursor.executemany("INSERT INTO accounts VALUES (%s, %s, 0)", rows)
        began = time.perf_counter()
        for number, one in enumerate(exchanges(count)):
            with connection.transaction():
                connection.execute(_MOVE, (-one.minutes, one.payer))
                connection.execute(_MOVE, (one.minutes, one.payee))
                connection.execute(_POST, {"n": number, **one._asdict()})
        seconds = time.perf_counter() - began
        row = connection.execute("SELECT count(*), sum(minutes) FROM postings").fetchone()
    if row != (2 * count, 0):
        raise BenchTrouble(f"The postings are {row}.")
    note = f"{count:,} transfers in {seconds:.1f} s: two balances, two postings, one commit each"
    setting.figures.add(NAME, count / seconds, "transfers/s", note)
    setting.figures.add_times("journal.postgresql.times_raw", "journal.postgresql.transfers_per_s", NAME)
