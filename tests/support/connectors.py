"""The worked examples in connectors/, pointed at servers that a test has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).parents[2] / "connectors"


def examples() -> list[Path]:
    """All example files, by name."""
    return sorted(EXAMPLES.glob("*.yaml"))


def with_urls(
    path: Path,
    folder: Path,
    *,
    source: str | None = None,
    queue: str | None = None,
    sinks: Mapping[str, str] | str | None = None,
    coordination: str | None = None,
    **source_keys: Any,
) -> Path:
    """Writes a copy of the connector file `path` into `folder`, with other URLs and all else as it is; returns the copy.

    `sinks`: one URL for all sinks, or by name (a single sink's name is `sink`). `coordination` replaces or adds that section.
    `source_keys` go over those of `source:` (`tables=[…]`, `server_id=…`).
    """
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    text["source"].update(source_keys, **({"url": source} if source else {}))
    if queue is not None:
        text["queue"]["url"] = queue
    if coordination is not None:
        text["coordination"] = {**text.get("coordination", {}), "url": coordination}
    for name, sink in (text.get("sinks") or {"sink": text["sink"]}).items():
        url = sinks if isinstance(sinks, str) or sinks is None else sinks.get(name)
        sink["url"] = url or sink["url"]
    copy = folder / path.name
    copy.write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
    return copy


SECRETS = {
    "CDC_SOURCE_PASSWORD": "source-p@ss:word/1#2?3%",
    "CDC_REDIS_PASSWORD": "redis p@ss",
    "CDC_SINK_PASSWORD": "sink&p=ss",
    "CDC_MASK_SALT": "a salt",
}
"""Values for the examples' `${…}`, hostile where they stand in URLs."""
