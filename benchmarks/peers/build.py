"""Builds the peers once, into the cache folder: each from its registry, by the machine's own pip, go and mvn."""

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.children.report import NotRun
from benchmarks.processes import clean
from cdc.local.cache import cache_folder, filled

_HERE = Path(__file__).parent
_SECONDS = 900
MYSQL_EVENT_STREAM = "1.8.0"
GO_MYSQL = "1.13.0"
DEBEZIUM = "3.6.1.Final"
DEBEZIUM_JDBC = "3.6.0.Final"
KAFKA_CONNECT = "4.1.1"
MAXWELL = "1.22.6"


def mysql_event_stream() -> Path:
    """A folder to put on the path of Python."""
    return _built(f"mysql-event-stream-{MYSQL_EVENT_STREAM}", (), _install)


def canal() -> Path:
    """The program."""
    return _built("canal", _files("canal"), _build_canal) / "canal"


def debezium() -> Sequence[str]:
    """The beginning of its argument list; the mode follows."""
    folder = _built("debezium", _files("debezium"), lambda part: _compiled(part, "debezium", _files("debezium")))
    return java(f"{folder / 'classes'}:{folder / 'jars'}/*", "Peer")


def kafka_connect() -> Sequence[str]:
    """A worker with Debezium's connectors; the file with its settings follows."""
    own = (*_files("connect"), _HERE / "debezium" / "AgroalConnectionProvider.java")
    folder = _built("connect", own, lambda part: _compiled(part, "connect", own))
    return java(f"{folder / 'classes'}:{folder / 'jars'}/*", "org.apache.kafka.connect.cli.ConnectStandalone")


def maxwell() -> Sequence[str]:
    folder = _built("maxwell", _files("maxwell"), lambda part: _jars(part, _HERE / "maxwell"))
    return java(f"{folder / 'jars'}/*", "com.zendesk.maxwell.Maxwell")


def java(classes: str, main: str) -> list[str]:
    """The garbage collector is the JVM's own choice; the heap is large enough that its work does not show."""
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    return ["java", "-Xms512m", "-Xmx2g", quiet, "-cp", classes, main]


def _files(name: str) -> tuple[Path, ...]:
    return tuple(sorted(path for path in (_HERE / name).iterdir() if path.is_file()))


def _built(name: str, sources: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """Another build for every state of its sources."""
    mark = 0
    for source in sources:
        mark = zlib.crc32(source.read_bytes(), mark)
    return filled(cache_folder() / "bench", f"{name}-{mark:08x}" if sources else name, build)


def _install(folder: Path) -> None:
    wanted = f"mysql-event-stream=={MYSQL_EVENT_STREAM}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    _done([*pip, "--target", str(folder), wanted], folder)


def _build_canal(folder: Path) -> None:
    _needs("go")
    shutil.copytree(_HERE / "canal", folder / "source")
    _done(["go", "build", "-o", str(folder / "canal"), "."], folder / "source", {"GOFLAGS": "-buildvcs=false"})


def _compiled(folder: Path, name: str, sources: Sequence[Path]) -> None:
    _jars(folder, _HERE / name)
    _needs("javac")
    argv = ["javac", "-nowarn", "-cp", f"{folder / 'jars'}/*", "-d", str(folder / "classes")]
    _done([*argv, *(str(path) for path in sources if path.suffix == ".java")], folder)


def _jars(folder: Path, source: Path) -> None:
    _needs("java")
    _needs("mvn")
    argv = ["mvn", "--batch-mode", "--quiet", "--file", str(source / "pom.xml"), "-Dstyle.color=never"]
    copy = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'jars'}"]
    _done([*argv, *copy], folder)


def _needs(program: str) -> None:
    if not shutil.which(program):
        raise NotRun(f"there is no {program} on PATH")


def _done(argv: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired:
        raise NotRun(f"{argv[0]} did not end within {_SECONDS} s") from None
    if done.returncode:
        said = (done.stderr.strip() + "\n" + done.stdout.strip()).strip().splitlines()
        telling = [line for line in said if "ERROR" in line or "error" in line] or said or ["nothing"]
        raise NotRun(f"{Path(argv[0]).name} failed: {clean(telling[0])}")
