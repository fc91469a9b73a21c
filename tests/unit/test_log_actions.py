"""Alerts may rest on the names of log actions: docs/observability.md promises exactly those that the code says."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SAID = re.compile(r'fields\(\s*(?:action=)?"([a-z._]+)"')
_PROMISED = re.compile(r"^\| `([a-z]+\.[a-z_]+)` \|", re.MULTILINE)


def test_the_documented_actions_are_those_of_the_code() -> None:
    said = {name for file in (ROOT / "cdc").rglob("*.py") for name in _SAID.findall(file.read_text()) if "." in name}
    promised = set(_PROMISED.findall((ROOT / "docs" / "observability.md").read_text()))
    assert promised == said
