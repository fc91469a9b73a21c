"""What took part in a run, and in which version."""

import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from benchmarks.peers import build
from cdc.local import Server

_TITLES = {"mysql": "MySQL", "redis": "Redis", "kafka": "Apache Kafka", "postgresql": "PostgreSQL"}
_PACKAGES = ("lockstep-cdc", "mysql-replication", "confluent-kafka", "redis", "psycopg", "pymysql", "orjson")


def of(servers: Iterable[Server]) -> dict[str, str]:
    found = {"Python": platform.python_version()}
    found |= {_TITLES.get(server.kind, server.kind): server.version for server in servers}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found |= {
        "mysql-event-stream": build.MYSQL_EVENT_STREAM,
        "go-mysql": build.GO_MYSQL,
        "Debezium": build.DEBEZIUM,
        "Debezium JDBC sink": build.DEBEZIUM_JDBC,
        "Kafka Connect": build.KAFKA_CONNECT,
        "Maxwell": build.MAXWELL,
        "Go": _said(("go", "version"), r"go(\d[\d.]*)"),
        "Java": _said(("java", "-version"), r'version "([^"]+)"'),
    }
    return found


def _said(argv: tuple[str, ...], pattern: str) -> str:
    if not shutil.which(argv[0]):
        return "not there"
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    match = re.search(pattern, done.stdout + done.stderr)
    return match[1] if match else "unknown"
