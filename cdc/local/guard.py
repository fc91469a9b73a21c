"""Runs one server and ends it when the process that asked for it is gone. A script of its own; standard library only.

The kernel's parent-death signal alone (prctl(2), PR_SET_PDEATHSIG) would not do: it fires when the *thread* ends
that started the child, it is Linux's alone, and a container is nobody's child. So this process stands between:
it holds one end of a pipe whose other end only the asking process has, and acts when that end closes.
Argument: one JSON object, {"argv", "uid", "gid", "life_fd", "report_fd", "at_end"}. It reports the server's
process id, or "!" and the reason why it could not be started, on report_fd.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.5


def main() -> int:
    wish: dict[str, Any] = json.loads(sys.argv[1])
    parent = os.getppid()
    # Ctrl-C and a closing terminal are the asking process's business: it stops its servers itself.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        child = subprocess.Popen(
            wish["argv"],
            user=wish["uid"],
            group=wish["gid"],
            extra_groups=[] if wish["uid"] is not None else None,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            restore_signals=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 — this process has one thread
        )
    except OSError as error:
        os.write(wish["report_fd"], f"!{error}".encode())
        return 127
    os.write(wish["report_fd"], str(child.pid).encode())
    os.close(wish["report_fd"])
    while child.poll() is None:
        if _asker_gone(wish["life_fd"], child.pid, parent):
            child.kill()
            child.wait()
            if wish["at_end"]:
                subprocess.run(wish["at_end"], check=False, capture_output=True)
            break
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _asker_gone(life_fd: int, pid: int, parent: int) -> bool:
    """Wait a moment, or until the server or the asking process ends; say whether it was the latter.

    The parent's id is looked at too: a process forked by the asking one may hold the pipe open.
    """
    watched = [life_fd]
    server_fd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    try:
        if server_fd is not None:
            watched.append(server_fd)
        readable, _, _ = select.select(watched, [], [], _LOOK_SECONDS if server_fd is not None else 0.05)
    finally:
        if server_fd is not None:
            os.close(server_fd)
    return life_fd in readable or os.getppid() != parent


def _die_with_parent() -> None:
    """Should this process be killed itself, its server ends too (Linux only)."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
