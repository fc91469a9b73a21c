"""`python -m benchmarks [PART…] [--quick]`: what docs/benchmarks.md describes."""

import argparse
import json
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import capture, must_reach, plots, tables
from benchmarks.capture_queues import Setting
from benchmarks.results import Report
from benchmarks.servers import start
from benchmarks.sizes import QUICK, Sizes
from benchmarks.versions import of as versions_of
from cdc.local.progress import shown

PARTS = ("capture", "apply", "end-to-end", "growth")
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measurements; see docs/benchmarks.md.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--rounds", type=int, help="how often each contestant has its turn")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for JSON and plots")
    chosen = parser.parse_args()
    print(chosen)


if __name__ == "__main__":
    main()
