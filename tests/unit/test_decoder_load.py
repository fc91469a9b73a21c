"""Which decoder is loaded: a forced choice never falls back."""

import pytest

from cdc.binlog.decoder import load
from cdc.model.errors import FatalError


def test_the_plain_python_decoder_is_there_without_a_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CDC_DECODER", raising=False)
    assert load().name == "python"


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDC_DECODER", "python")
    assert load().name == "python"
    monkeypatch.setenv("CDC_DECODER", "fast")
    with pytest.raises(FatalError, match=r"there is no decoder 'fast'.*python, compiled"):
        load()


def test_a_forced_decoder_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cdc.binlog.decoder.compiled", None)
    monkeypatch.setenv("CDC_DECODER", "python")
    with pytest.raises(FatalError, match=r"the compiled decoder could not be loaded: .*cdc\.binlog\.decoder\.compiled"):
        load("compiled")
