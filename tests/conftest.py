"""What every tier needs of pytest itself."""

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
