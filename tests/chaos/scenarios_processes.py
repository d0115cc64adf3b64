"""Crash and pause: processes of towns, the broker and the database are killed, stopped and woken."""

from __future__ import annotations

import signal

from tests.chaos.fault_line import SILENT, Weather
from tests.chaos.load import Load
from tests.chaos.network import Network
from tests.chaos.run import Scenario

BOUNCES = 5
PAST_TIME_OUTS_SECONDS = 14.0
"""Longer than a commit, a client or a broker waits here."""


def kill_ledgers(network: Network, load: Load) -> None:
    for town in ("aberdare", "barry", "aberdare", "barry"):
        network[town].kill("ledger")
        network.restart(town, "ledger")
        load.more(3)


def kill_federations(network: Network, load: Load) -> None:
    for town in ("aberdare", "barry", "aberdare", "barry"):
        network[town].kill("federation")
        load.more(5)
        network.restart(town, "federation")


def kill_directories(network: Network, load: Load) -> None:
    for town in ("aberdare", "barry"):
        network[town].kill("directory")
        load.more(10)
        network.restart(town, "directory")


def kill_whole_towns(network: Network, load: Load) -> None:
    for town in ("caerphilly", "barry", "aberdare"):
        for service in reversed(network[town].services):
            network[town].kill(service)
        load.during(1.0)
        # Federation before its ledger: the order of a restart is nobody's to keep.
        network.restart(town, *reversed(network[town].services))
        load.more(3)


def kill_in_recovery(network: Network, load: Load) -> None:
    # Each start is killed a little later than the one before: while it loads, replays, opens, serves.
    for step in range(8):
        network["aberdare"].kill("ledger")
        network["aberdare"].start("ledger")
        network["caerphilly"].kill("node")
        network["caerphilly"].start("node")
        load.during(0.5 + 0.35 * step)


def kill_sender_before_acknowledgement(network: Network, load: Load) -> None:
    for _ in range(3):
        network.servers.kafka_lines["aberdare"].set(Weather(holds_answers=True))
        load.more(5)
        network["aberdare"].kill("federation")
        network.servers.kafka_lines["aberdare"].heal()
        network.restart("aberdare", "federation")
        load.more(3)


def pause_ledger(network: Network, load: Load) -> None:
    network["barry"].signal("ledger", signal.SIGSTOP)
    load.during(PAST_TIME_OUTS_SECONDS)
    network["barry"].signal("ledger", signal.SIGCONT)
    load.more(3)


def pause_federation(network: Network, load: Load) -> None:
    network["aberdare"].signal("federation", signal.SIGSTOP)
    load.during(PAST_TIME_OUTS_SECONDS)
    network["aberdare"].signal("federation", signal.SIGCONT)
    load.more(3)


def pause_town(network: Network, load: Load) -> None:
    for town in ("caerphilly", "barry"):
        network.signal(town, signal.SIGSTOP)
        load.during(8.0)
        network.signal(town, signal.SIGCONT)


def two_senders(network: Network, load: Load) -> None:
    network.twin("aberdare", "federation")
    load.more(20)
    network["aberdare"].kill("federation")
    load.more(10)
    network.restart("aberdare", "federation")
    load.more(10)


def two_ledgers(network: Network, load: Load) -> None:
    network.twin("barry", "ledger")
    load.during(6.0)
    network["barry"].kill("ledger")
    load.during(2.0)


def kill_database(network: Network, load: Load) -> None:
    for _ in range(3):
        network.servers.database.kill()
        load.during(1.0)
        network.servers.database.start()
        load.more(5)


def pause_database(network: Network, load: Load) -> None:
    network.servers.database.pause()
    load.during(PAST_TIME_OUTS_SECONDS)
    network.servers.database.resume()
    load.more(3)


def cut_commits(network: Network, load: Load) -> None:
    for _ in range(3):
        # The commit is done; nobody hears of it.
        network.journal_line.set(Weather(lost_answers=0.3))
        load.during(2.0)
        network.journal_line.heal()
        load.more(3)


def silent_database(network: Network, load: Load) -> None:
    network.journal_line.set(SILENT)
    load.during(PAST_TIME_OUTS_SECONDS)


SCENARIOS = (
    Scenario(name="ledgers-killed", fault="The API dies before, after and during commit.", run=kill_ledgers),
    Scenario(name="federations-killed", fault="The receiver dies before and after commit.", run=kill_federations),
    Scenario(name="directories-killed", fault="Processes killed: who people are is away.", run=kill_directories),
    Scenario(name="towns-killed", fault="All processes of a town at once.", run=kill_whole_towns),
    Scenario(name="recovery-killed", fault="Crash during recovery, repeatedly.", run=kill_in_recovery),
    Scenario(
        name="sender-killed",
        fault="The sender dies between produce and acknowledgement.",
        run=kill_sender_before_acknowledgement,
    ),
    Scenario(name="ledger-paused", fault="A process is paused past every time-out and wakes.", run=pause_ledger),
    Scenario(
        name="federation-paused", fault="A process is paused past every time-out and wakes.", run=pause_federation
    ),
    Scenario(name="towns-paused", fault="Whole towns are paused, one after the other.", run=pause_town),
    Scenario(name="two-senders", fault="Two senders with one identity.", run=two_senders),
    Scenario(name="two-ledgers", fault="A second process on one journal.", run=two_ledgers),
    Scenario(name="database-killed", fault="The database is killed in mid-commit.", run=kill_database),
    Scenario(name="database-paused", fault="The database is paused past every time-out.", run=pause_database),
    Scenario(name="commits-unknown", fault="Commit done and its answer lost, again and again.", run=cut_commits),
    Scenario(name="database-silent", fault="The line to the database goes silent.", run=silent_database),
)
