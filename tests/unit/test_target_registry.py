"""The literal table of target adapters."""

import sys

import pytest

from cdc.model.config import SinkConfig
from cdc.model.errors import MissingExtra
from cdc.target.registry import ADAPTERS, open_target

SCHEMES = ("postgresql", "mysql", "mariadb", "sqlite", "memory")


def test_every_scheme_of_a_sink_has_an_adapter() -> None:
    assert set(ADAPTERS) == set(SCHEMES)


def test_a_driver_that_is_not_installed_is_answered_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.startswith(("cdc.target.postgresql", "psycopg"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lockstep-cdc\[postgresql\]'"):
        open_target("shop", "sink", SinkConfig(url="postgresql://127.0.0.1/x"))  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["memory://x", "postgresql://u:p@127.0.0.1:1/x", "sqlite:////nowhere/at/all.db"])
def test_opening_a_target_opens_no_connection(url: str) -> None:
    open_target("shop", "sink", SinkConfig(url=url)).close()  # type: ignore[arg-type]
