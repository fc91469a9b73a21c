"""What every tier needs of pytest itself."""

import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("lockstep", deadline=None)
settings.load_profile("lockstep")

_TESTS = Path(__file__).parent


_SLOWEST_FIRST = ("faults", "e2e", "integration", "contract", "unit")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tiers with the longest files first, so that two workers end together; within a tier the order stays random."""
    items.sort(key=lambda item: _SLOWEST_FIRST.index(item.path.relative_to(_TESTS).parts[0]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hostile texts that a test logs (lone surrogates) must not break the channel between pytest-xdist's processes."""
    report = yield
    report.sections = [
        (name, content.encode("utf-8", "backslashreplace").decode("utf-8")) for name, content in report.sections
    ]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """A shell starts what it puts into the background with SIGINT ignored, and every process that the tests start would
    inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
