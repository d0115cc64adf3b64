"""The small edges: time, log lines, metrics."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from prometheus_client import REGISTRY, Counter, Histogram

from timebank_kit.clock import Clock, ManualClock, SystemClock
from timebank_kit.logs import JsonFormatter, log_to_stderr
from timebank_kit.metrics import CONTENT_TYPE, SECONDS_BUCKETS, exposition, new_registry

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_systems_clock_is_in_utc_and_its_monotonic_time_does_not_fall() -> None:
    clock: Clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() <= clock.monotonic()


def test_a_manual_clock_stands_until_it_is_advanced() -> None:
    clock: Clock = (manual := ManualClock(START))
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    manual.advance(90.5)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=90.5), 90.5)
    with pytest.raises(AssertionError):
        manual.advance(-1)


def test_setting_the_wall_time_leaves_monotonic_time_alone() -> None:
    clock = ManualClock(START)
    clock.advance(10)
    clock.set(START - timedelta(days=1))
    assert (clock.now(), clock.monotonic()) == (START - timedelta(days=1), 10.0)


def test_a_manual_clock_takes_aware_moments_only_and_gives_utc() -> None:
    with pytest.raises(AssertionError):
        ManualClock(datetime(2026, 3, 1))  # noqa: DTZ001 - this is what is refused
    clock = ManualClock(START.astimezone(timezone(timedelta(hours=2))))
    assert clock.now() == START
    assert clock.now().tzinfo is UTC


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("test.lines")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    logger.propagate = False
    yield out
    logger.removeHandler(handler)


def test_a_log_line_is_one_json_object_with_its_fields(lines: io.StringIO) -> None:
    logging.getLogger("test.lines").info("journal opened", extra={"length": 7, "path": "a\nb", "at": START})
    (line,) = lines.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "info",
        "logger": "test.lines",
        "message": "journal opened",
        "length": 7,
        "path": "a\nb",
        "at": str(START),
    }


def test_a_field_never_replaces_the_time_or_the_level(lines: io.StringIO) -> None:
    logging.getLogger("test.lines").warning("said", extra={"level": "forged", "time": "never", "logger": "other"})
    told = json.loads(lines.getvalue())
    assert (told["level"], told["logger"]) == ("warning", "test.lines")
    assert told["time"] != "never"


def test_a_logged_exception_has_its_name_and_trace_on_the_same_line(lines: io.StringIO) -> None:
    try:
        raise KeyError("missing")
    except KeyError:
        logging.getLogger("test.lines").exception("bug")
    (line,) = lines.getvalue().splitlines()
    assert json.loads(line)["error"] == "KeyError"
    assert "Traceback" in json.loads(line)["trace"]


def test_the_process_logs_json_lines_only() -> None:
    out = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    # pytest's own handlers are put back afterwards and must not be closed meanwhile.
    root.handlers.clear()
    try:
        log_to_stderr("WARNING", stream=out)
        logging.getLogger("anything").warning("said")
        logging.getLogger("anything").info("not said")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    (line,) = out.getvalue().splitlines()
    assert json.loads(line)["message"] == "said"


def test_registries_of_two_rooms_do_not_see_each_other() -> None:
    one, other = new_registry(), new_registry()
    for registry, count in ((one, 1), (other, 5)):
        Counter("batches", "Batches committed.", registry=registry).inc(count)
    Histogram("commit_seconds", "Commits.", buckets=SECONDS_BUCKETS, registry=one).observe(0.003)
    assert b"batches_total 1.0" in exposition(one)
    assert b'commit_seconds_bucket{le="0.005"} 1.0' in exposition(one)
    assert b"batches_total 5.0" in exposition(other)
    assert "batches_total" not in {sample.name for family in REGISTRY.collect() for sample in family.samples}
    assert CONTENT_TYPE.startswith("text/plain")


def test_one_registry_of_a_process_tells_its_memory() -> None:
    assert b"process_resident_memory_bytes" in exposition(new_registry(process=True))
    assert exposition(new_registry()) == b""
