"""Which decoder is loaded: a forced choice never falls back."""

import sys

import pytest

from cdc.binlog.decoder import load
from cdc.model.errors import FatalError


def test_the_compiled_decoder_is_there_without_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cdc.binlog.decoder.compiled", reason="the compiled decoder was not built")
    monkeypatch.delenv("CDC_DECODER", raising=False)
    assert load().name == "compiled"


def test_where_the_compiled_decoder_was_not_built_the_plain_one_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    _take_away(monkeypatch)
    monkeypatch.delenv("CDC_DECODER", raising=False)
    assert load().name == "python"


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDC_DECODER", "python")
    assert load().name == "python"
    monkeypatch.setenv("CDC_DECODER", "fast")
    with pytest.raises(FatalError, match=r"there is no decoder 'fast'.*python, compiled"):
        load()


def test_a_forced_decoder_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    _take_away(monkeypatch)
    why = r"the compiled decoder could not be loaded: .*cdc\.binlog\.decoder\.compiled"
    monkeypatch.setenv("CDC_DECODER", "compiled")
    with pytest.raises(FatalError, match=why):
        load()
    monkeypatch.setenv("CDC_DECODER", "python")
    with pytest.raises(FatalError, match=why):
        load("compiled")


def _take_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compiled", "compiled_plan", "compiled_decoder"):
        monkeypatch.delitem(sys.modules, f"cdc.binlog.decoder.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "cdc.binlog.decoder.compiled", None)
