"""Maxwell with its stdout producer: JSON lines through a pipe, counted. Its clock starts with the first line."""

import os
import resource
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.children.report import job, peak_bytes, tell


def main() -> None:
    asked = job()
    folder = Path(asked["folder"])
    settings = folder / "maxwell.properties"
    settings.touch(mode=0o600)
    settings.write_text(
        "".join(
            f"{name}={value}\n"
            for name, value in {
                "host": asked["host"],
                "port": asked["port"],
                "user": asked["user"],
                "password": asked["password"],
                "jdbc_options": "useSSL=false&allowPublicKeyRetrieval=true",
                "producer": "stdout",
                "replica_server_id": asked["server_id"],
                "client_id": f"bench{asked['server_id']}",
                "init_position": f"{asked['file']}:4:0",
                "filter": f"exclude: *.*, include: {asked['database']}.*",
                "log_level": "error",
            }.items()
        )
    )
    errors = folder / "maxwell.log"
    with (
        errors.open("wb") as log,
        subprocess.Popen(
            [*asked["argv"], f"--config={settings}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        ) as maxwell,
    ):
        report = _read(maxwell, asked["rows"])
        maxwell.kill()
        maxwell.wait()
    if report is None:
        said = [
            line for line in errors.read_text(errors="replace").splitlines() if "rror" in line or "xception" in line
        ]
        tell({"not_run": f"it ended by itself: {(said or ['it said nothing'])[0]}"})
        return
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    tell({**report, "cpu_seconds": usage.ru_utime + usage.ru_stime})


def _read(maxwell: "subprocess.Popen[bytes]", wanted: int) -> dict[str, Any] | None:
    began = 0.0
    seen = 0
    assert maxwell.stdout is not None
    for line in maxwell.stdout:
        if not line.startswith(b'{"database"'):
            continue
        began = began or time.monotonic()
        seen += 1
        if seen >= wanted:
            return {"rows": seen, "seconds": time.monotonic() - began, "peak_bytes": peak_bytes(maxwell.pid)}
    return None


if __name__ == "__main__":
    os.setpgid(0, 0)
    main()
