"""Official images in a running Docker engine, through its command line (docs: `docker run`, `docker inspect`)."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cdc.local.plan import Container
from cdc.local.ports import LOOPBACK
from cdc.local.process import Process, Wish, start_guarded
from cdc.local.progress import Progress, Step
from cdc.model.errors import LocalServerError

_ANSWER_SECONDS = 20


def require_engine() -> None:
    """Raises unless a Docker engine answers."""
    if not shutil.which("docker"):
        raise LocalServerError("no docker on PATH", hint="install Docker")
    try:
        done = subprocess.run(("docker", "info"), capture_output=True, check=False, timeout=_ANSWER_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise LocalServerError("the Docker engine does not answer", hint="start it") from error
    if done.returncode:
        raise LocalServerError("no Docker engine is running", hint="start it")


def pull(image: str, progress: Progress) -> None:
    if _docker("image", "inspect", image).returncode == 0:
        return
    progress(Step(f"pulling the image {image}"))
    done = _docker("pull", "--quiet", image)
    if done.returncode:
        raise LocalServerError(f"the image {image} cannot be pulled: {_reason(done)}", hint="look at the network")


def run_arguments(name: str, port: int, container: Container) -> list[str]:
    """`docker run …` for a container that is published on the loopback address alone."""
    names = [part for key in container.environment for part in ("--env", key)]
    publish = f"{LOOPBACK}:{port}:{container.inner_port}"
    return [
        "docker",
        "run",
        "--detach",
        "--name",
        name,
        "--publish",
        publish,
        *names,
        container.image,
        *container.arguments,
    ]


class ContainerRun:
    """A container; its guard, if any, removes it when the asking process was killed."""

    def __init__(self, name: str, guard: Process | None = None) -> None:
        self.name = name
        self._guard = guard

    @property
    def pid(self) -> int:
        """The main process's id as the engine's host counts; 0 when stopped."""
        said = _docker("inspect", "--format", "{{.State.Pid}}", self.name).stdout.strip()
        return int(said) if said.isdigit() else 0

    def alive(self) -> bool:
        return _docker("inspect", "--format", "{{.State.Running}}", self.name).stdout.strip() == "true"

    def stop(self, grace_seconds: float) -> None:
        _docker("unpause", self.name)  # no error where it was not paused
        _must("stop", "--time", str(int(grace_seconds)), self.name)

    def kill(self) -> None:
        _must("kill", self.name)

    def pause(self) -> None:
        _must("pause", self.name)

    def resume(self) -> None:
        _must("unpause", self.name)

    def start(self) -> None:
        _must("start", self.name)

    def discard(self) -> None:
        _docker("rm", "--force", "--volumes", self.name)
        if self._guard:
            self._guard.discard()


def start(container: Container, kind: str, port: int, log: Path, *, detached: bool) -> ContainerRun:
    name = f"lockstep-{kind}-{port}-{secrets.token_hex(3)}"
    _run(run_arguments(name, port, container), container.environment)
    if detached:
        return ContainerRun(name)
    # `tail` never ends by itself: the guard watches the asking process, and the container outlives restarts.
    removal = ("docker", "rm", "--force", "--volumes", name)
    return ContainerRun(name, start_guarded(Wish(("tail", "-f", "/dev/null"), log, at_end=removal)))


def words(name: str) -> str:
    """The last lines that the container printed."""
    done = _docker("logs", "--tail", "20", name)
    return done.stdout + done.stderr


def inside(name: str, commands: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {key: ("docker", "exec", "--interactive", name, *command) for key, command in commands.items()}


def _must(*arguments: str) -> None:
    done = _docker(*arguments)
    if done.returncode:
        raise LocalServerError(f"docker {arguments[0]} failed: {_reason(done)}", hint="look at the Docker engine")


def _run(argv: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(argv, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalServerError(f"docker run failed: {_reason(done)}", hint="look at the Docker engine")


def _docker(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(("docker", *arguments), capture_output=True, text=True, check=False)


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    lines = done.stderr.strip().splitlines()
    return lines[-1][:300] if lines else "no reason given"
