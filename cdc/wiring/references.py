"""`${NAME}` and `${file:/run/secrets/x}` inside the texts of a connector file.

They are put in after the YAML was read, so a value never changes the file's structure; and in the user:password part of a URL
they are percent-encoded, so a password may hold whatever it likes (RFC 3986, section 3.2.1).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cdc.wiring.place import Place

_PIECE = re.compile(r"\$\$\{|\$\{(?P<reference>[^{}]*)\}|\$\{")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USERINFO = re.compile(r"[a-z][a-z0-9+.-]*://(?P<userinfo>[^/?#]*)@")
_MOST_SECRET_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class References:
    """`folder`: where relative `${file:…}` begin, that of the connector file."""

    environment: Mapping[str, str]
    folder: Path

    def substitute(self, text: str, place: Place) -> str:
        """`text` with its references replaced; `$${` becomes `${`. Raises
        ConnectorFileError, which never holds a value."""
        # Each reference is one NUL for as long as it takes to see where the URL's userinfo ends: a `/` of `${file:/…}` must not.
        shape = _PIECE.sub(lambda match: "$" if match[0] == "$${" else "\0", text)
        userinfo = _USERINFO.match(shape)
        inside = shape.count("\0", 0, userinfo.end("userinfo")) if userinfo else 0
        done = 0

        def replaced(match: re.Match[str]) -> str:
            nonlocal done
            if match[0] == "$${":
                return "${"
            value = self._value(match["reference"], place)
            done += 1
            return quote(value, safe="") if done <= inside else value

        return _PIECE.sub(replaced, text)

    def _value(self, reference: str | None, place: Place) -> str:
        if reference is not None and reference.startswith("file:"):
            return self._file(reference.removeprefix("file:"), place)
        if reference is None or not _VARIABLE.fullmatch(reference):
            raise place.refused(
                "a `${` that is neither ${NAME} nor ${file:/path}", hint="write $${ where a text really has ${ in it"
            )
        value = self.environment.get(reference)
        if value is None:
            raise place.refused(
                f"the environment has no {reference}", hint=f"export {reference}=… before, or use ${{file:/path}}"
            )
        return _fit(value, f"the variable {reference}", place)

    def _file(self, name: str, place: Place) -> str:
        path = self.folder / name
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_SECRET_BYTES + 1)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a path"
            raise place.refused(f"cannot read {path}: {why}", hint="give a file that this user may read") from None
        if len(content) > _MOST_SECRET_BYTES:
            raise place.refused(
                f"{path} is larger than {_MOST_SECRET_BYTES} bytes", hint="a secret is one line of text"
            )
        text = content.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
        return _fit(text, f"the file {path}", place)


def _fit(value: str, where: str, place: Place) -> str:
    """Undecodable bytes arrive as lone surrogates (PEP 383); a NUL would end the text for some drivers."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise place.refused(f"{where} is not UTF-8", hint="write it as UTF-8") from None
    if "\0" in value:
        raise place.refused(f"{where} has a NUL in it", hint="remove it")
    return value
