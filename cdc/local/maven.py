"""Apache Kafka's broker out of its Maven artifacts, resolved by the machine's own Maven with its own settings."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from cdc.local import cache
from cdc.local.progress import Progress, Step
from cdc.model.errors import LocalServerError

# The newest release that runs on each Java (Kafka 4: "brokers require Java 17").
_KAFKA_BY_JAVA = ((17, "4.1.1"), (11, "3.9.1"))
_REPOSITORY = "repository"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>lockstep.local</groupId><artifactId>kafka-broker</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{kafka}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""


def java_major() -> int:
    """The major version of the `java` on PATH; raises where there is none or it is too old."""
    if not shutil.which("java"):
        raise LocalServerError("no java on PATH", hint="install a Java of version 17 or newer")
    said = subprocess.run(("java", "-version"), capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    major = int(found[1]) if found else 0
    if major < _KAFKA_BY_JAVA[-1][0]:
        raise LocalServerError(f"the java on PATH is of version {major}", hint="install Java 17 or newer")
    return major


def kafka(root: Path, java: int, progress: Progress) -> tuple[Path, int]:
    """The folder with the broker's jars, and their size in bytes; `root` is the cache folder."""
    version = next(version for oldest, version in _KAFKA_BY_JAVA if java >= oldest)
    folder = cache.filled(root, f"kafka-{version}", lambda part: _fetch(part, version, progress))
    return folder, sum(jar.stat().st_size for jar in folder.glob("*.jar"))


def _fetch(folder: Path, version: str, progress: Progress) -> None:
    if not shutil.which("mvn"):
        raise LocalServerError("no mvn on PATH", hint="install Maven")
    what = f"downloading Apache Kafka {version}'s artifacts"
    progress(Step(what))
    pom = folder / "pom.xml"
    pom.write_text(_POM.format(kafka=version))
    argv = (
        *("mvn", "--batch-mode", "--quiet", "--file", str(pom), "dependency:copy-dependencies"),
        *("-DincludeScope=runtime", f"-DoutputDirectory={folder}", "-Dstyle.color=never"),
        *_own_repository(folder),
    )
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    shutil.rmtree(folder / _REPOSITORY, ignore_errors=True)
    if done.returncode or not list(folder.glob("kafka_*.jar")):
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
        said = re.sub(r"\(?\w+://\S+", "", lines[0])[:300] if lines else "no reason given"
        raise LocalServerError(f"mvn failed: {said}", hint="look at the network and at Maven's settings")


def _own_repository(folder: Path) -> list[str]:
    """Maven keeps what it fetched in the account's home folder; some accounts have none that can be written."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    return [] if os.access(home, os.W_OK) else [f"-Dmaven.repo.local={folder / _REPOSITORY}"]
