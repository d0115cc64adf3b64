"""Become a Kafka broker: settings from `KAFKA_…` variables as in the `apache/kafka` image, after formatting once.

KAFKA_LOG_RETENTION_MS becomes log.retention.ms; `__` stands for a dash and `___` for an underscore.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

DATA = Path("/var/lib/kafka/data")
SETTINGS = Path("/etc/kafka/server.properties")
LOGGING = Path("/etc/kafka/log4j2.properties")
NOT_SETTINGS = {"KAFKA_HEAP_OPTS", "KAFKA_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS"}
LOG_LINES = """\
rootLogger.level=INFO
rootLogger.appenderRef.out.ref=OUT
appender.out.type=Console
appender.out.name=OUT
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n
"""


def setting(variable: str) -> str:
    """The property that a variable stands for."""
    name = variable.removeprefix("KAFKA_").lower()
    return name.replace("___", "\0").replace("__", "-").replace("_", ".").replace("\0", "_")


def main() -> None:
    """Write the settings, format an empty directory, and run the broker in this process's place."""
    said = {
        setting(name): value
        for name, value in os.environ.items()
        if name.startswith("KAFKA_") and name not in NOT_SETTINGS
    }
    said.setdefault("log.dirs", str(DATA))
    SETTINGS.write_text("".join(f"{name}={value}\n" for name, value in said.items()), "utf-8")
    LOGGING.write_text(LOG_LINES, "utf-8")
    heap = os.environ.get("KAFKA_HEAP_OPTS", "-Xmx512m").split()
    java = ["java", *heap, "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOGGING}", "-cp", "/opt/kafka/libs/*"]
    cluster = os.environ.get("CLUSTER_ID", "5L6g3nShT-eMCtK--X86sw")
    tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c", str(SETTINGS)]
    subprocess.run([*java, *tool], check=True)  # noqa: S603 - words of our own and the operator's settings
    command = [*java, "kafka.Kafka", str(SETTINGS)]
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
