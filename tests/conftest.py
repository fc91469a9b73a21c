"""What every tier needs of pytest itself."""

import signal
from collections.abc import Generator

import pytest


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
