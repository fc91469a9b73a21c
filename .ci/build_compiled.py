"""Builds the compiled parts: every cdc/**/*.pyx, in place, beside its source.

As a hatch build hook (see pyproject.toml) it is part of `pip install`: where it cannot build (no C compiler, no Python headers)
it says so and the install goes on without; the plain Python parts do the same work, slower. By hand, for developers:
`python .ci/build_compiled.py` builds in place and fails loudly; further arguments are handed to the C compiler.
"""

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ("-O3", "-fno-strict-aliasing", "-Wno-unused-function")


def build(root: Path, flags: tuple[str, ...] = ()) -> list[str]:
    """Builds in place; the paths of what was built, relative to `root`. Raises whatever compiler and linker do."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    sources = sorted(path.relative_to(root) for path in root.glob("cdc/**/*.pyx"))
    extensions = [
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            extra_compile_args=[*FLAGS, *flags],
            extra_link_args=[flag for flag in flags if flag.startswith("-fsanitize")],
        )
        for source in sources
    ]
    before = Path.cwd()
    os.chdir(root)
    try:
        modules = cythonize(
            extensions,
            build_dir="build/cython",
            language_level=3,
            nthreads=0,
            force=bool(flags),
            compiler_directives={"embedsignature": True},
        )
        command = build_ext(Distribution({"name": "lockstep-cdc", "ext_modules": modules}))
        command.inplace = True
        command.force = bool(flags)
        command.build_temp = "build/temp"
        command.parallel = os.cpu_count()
        command.ensure_finalized()
        command.run()
        return [os.path.relpath(command.get_ext_fullpath(module.name), root) for module in modules]
    finally:
        os.chdir(before)


def _hook() -> Any:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class CompiledBuild(BuildHookInterface):  # type: ignore[type-arg]
        """Adds the compiled parts to a wheel, or to the tree of an editable install."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            if self.target_name != "wheel" or os.environ.get("CDC_NO_COMPILED"):
                return
            try:
                built = build(Path(self.root))
            except (Exception, SystemExit) as error:
                if os.environ.get("CDC_REQUIRE_COMPILED"):
                    raise
                self.app.display_warning(
                    f"Lockstep is installed without its compiled decoder, and reads with the plain Python one, which is "
                    f"slower: {type(error).__name__}: {error}. With a C compiler and Python's headers, install again."
                )
                return
            build_data["pure_python"] = False
            build_data["infer_tag"] = True
            build_data["artifacts"] += built

    return CompiledBuild


def get_build_hook() -> Any:
    """What hatchling looks for (https://hatch.pypa.io/latest/plugins/build-hook/custom/)."""
    return _hook()


if __name__ == "__main__":
    for path in build(ROOT, tuple(sys.argv[1:])):
        sys.stdout.write(f"built {path}\n")
