"""The results as pictures; matplotlib is imported only here, and only when there is something to draw."""

from pathlib import Path
from typing import Any

from benchmarks.results import Curve, Report, Section

INSTALL = "pip install --group bench"


def draw(report: Report, folder: Path) -> list[Path]:
    """PNG files in `folder`. Raises ImportError where matplotlib is not installed."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    drawn = [_bars(plt, section, folder) for section in report.sections]
    drawn += [_curve(plt, curve, folder) for curve in report.curves]
    if any(not one.reason for one in report.latencies):
        drawn.append(_latency(plt, report, folder))
    return drawn


def _bars(plt: Any, section: Section, folder: Path) -> Path:
    ran = [one for one in section.outcomes if one.runs]
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.4 * max(1, len(ran))))
    names = [one.name for one in ran][::-1]
    rates = [one.rate for one in ran][::-1]
    axes.barh(names, rates, color=["#2a6f97" if name.startswith("lockstep") else "#a9b4bd" for name in names])
    for place, one in enumerate(ran[::-1]):
        axes.plot([run.rows / run.seconds for run in one.runs], [place] * len(one.runs), "k.", markersize=3)
        axes.annotate(
            f" {one.rate:,.0f}", (max(run.rows / run.seconds for run in one.runs), place), va="center", fontsize=8
        )
    axes.set_xlabel("rows/s (median; dots: rounds)")
    axes.set_title(section.title, fontsize=10, loc="left")
    axes.margins(x=0.15)
    missing = [one.name for one in section.outcomes if not one.runs]
    if missing:
        figure.text(0.01, 0.005, "not run: " + ", ".join(missing), fontsize=7)
    return _saved(plt, figure, folder / f"{section.key}.png")


def _curve(plt: Any, curve: Curve, folder: Path) -> Path:
    ran = [point for point in curve.points if point.outcome.runs]
    figure, rate = plt.subplots(figsize=(7, 4))
    rate.plot([point.x for point in ran], [point.outcome.rate for point in ran], "o-", color="#2a6f97")
    rate.set_xscale("log")
    rate.set_ylim(bottom=0)
    rate.set_xlabel(curve.what)
    rate.set_ylabel("rows/s", color="#2a6f97")
    memory = rate.twinx()
    memory.plot([point.x for point in ran], [point.outcome.peak_bytes / 1e6 for point in ran], "s--", color="#c1553b")
    memory.set_ylim(bottom=0)
    memory.set_ylabel("peak memory, MB", color="#c1553b")
    return _saved(plt, figure, folder / f"{curve.key}.png")


def _latency(plt: Any, report: Report, folder: Path) -> Path:
    figure, axes = plt.subplots(figsize=(7, 4))
    paths = dict.fromkeys(one.path for one in report.latencies if not one.reason)
    for path, colour in zip(paths, ("#2a6f97", "#c1553b", "#6b8f3a"), strict=False):
        points = sorted(
            (one for one in report.latencies if one.path == path and not one.reason), key=lambda one: one.rate
        )
        for name, style in (("p50", "o-"), ("p99", "s--"), ("p99.9", "^:")):
            axes.plot(
                [one.rate for one in points],
                [one.percentiles_ms[name] for one in points],
                style,
                color=colour,
                label=f"{path}, {name}",
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("transactions/s")
    axes.set_ylabel("ms from commit to visible")
    axes.legend(fontsize=7)
    return _saved(plt, figure, folder / "latency.png")


def _saved(plt: Any, figure: Any, file: Path) -> Path:
    figure.tight_layout()
    # Nothing of the machine or of the moment in it: the same results give the same file.
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return file
