"""Where the machine gets its packages from, read from its own apt configuration. Pure functions of texts.

Formats: sources.list(5), the one-line style and the deb822 style; os-release(5).
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_GENERIC_SUITES = {"stable", "oldstable", "testing", "unstable", "sid"}
_DISTRIBUTION_KEYRINGS = {
    "debian": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "ubuntu": "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
}


class Source(NamedTuple):
    """One archive: every suite of `suites` with every component of `components` at `uri`.

    `options` are apt's own, in the one-line style's spelling (`signed-by`, `trusted`, …).
    """

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()


class System(NamedTuple):
    """The distribution's `ID` (or the one it is like) and `VERSION_CODENAME` of os-release."""

    distribution: str
    codename: str


def parse_os_release(text: str) -> System:
    fields = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))
    known = [name for name in (fields.get("ID", ""), *fields.get("ID_LIKE", "").split()) if name]
    distribution = next((name for name in known if name in _DISTRIBUTION_KEYRINGS), known[0] if known else "")
    codename = fields.get("VERSION_CODENAME", "")
    if distribution == "ubuntu":
        codename = fields.get("UBUNTU_CODENAME", codename)
    return System(distribution, codename)


def parse_one_line(text: str) -> list[Source]:
    """The `deb` lines of a `.list` file; comments, `deb-src` and lines that are not understood are left out."""
    sources = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if match:
            options, uri, suite, components = match.groups()
            pairs = [word.split("=", 1) for word in (options or "").split() if "=" in word]
            named = tuple((key.lower(), value) for key, value in pairs)
            sources.append(Source(uri, (suite,), tuple(components.split()), named))
    return sources


def parse_deb822(text: str) -> list[Source]:
    """The stanzas of a `.sources` file with `Types: deb`; a disabled or incomplete stanza is left out."""
    sources = []
    for stanza in re.split(r"\n\s*\n", _without_comments(text)):
        fields = _deb822_fields(stanza)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {"no", "false"}:
            continue
        suites = tuple(fields.get("suites", "").split())
        components = tuple(fields.get("components", "").split())
        # A key that is written into the stanza itself has no one-line spelling; the keyring stands in for it.
        signed_by = fields.get("signed-by", "")
        options = {"trusted": fields.get("trusted", ""), "signed-by": signed_by if signed_by.startswith("/") else ""}
        kept = tuple((key, value) for key, value in options.items() if value)
        sources += [Source(uri, suites, components, kept) for uri in fields.get("uris", "").split() if suites]
    return sources


def distribution_archives(sources: Iterable[Source], system: System) -> list[Source]:
    """The distribution's own archives among the machine's sources: no third party's, no CD-ROM."""
    own = (system.codename, *(f"{system.codename}-{part}" for part in ("updates", "security")))
    suites = {name for name in own if system.codename} | _GENERIC_SUITES
    return [
        source._replace(suites=tuple(suite for suite in source.suites if suite.rstrip("/") in suites))
        for source in sources
        if "main" in source.components
        and not source.uri.startswith("cdrom:")
        and any(suite.rstrip("/") in suites for suite in source.suites)
    ]


def unstable_archive(archives: Iterable[Source], system: System) -> Source | None:
    """Debian's unstable suite on the mirror that the machine uses for its main archive."""
    main = {system.codename} | _GENERIC_SUITES
    for archive in archives:
        # The security archive has suites of its own names and no unstable.
        if system.distribution == "debian" and main.intersection(archive.suites):
            return archive._replace(suites=("unstable",), components=("main",))
    return None


def render(sources: Iterable[Source], system: System, keyrings: Iterable[str]) -> str:
    """A private sources.list in the one-line style, every line signed by a keyring that is named in it.

    `keyrings` are the keyring files that exist on this machine.
    """
    lines = []
    for source in sources:
        options: Mapping[str, str] = dict(source.options)
        if not options:
            named = _DISTRIBUTION_KEYRINGS.get(system.distribution, "")
            found = [ring for ring in keyrings if ring.rsplit(".", 1)[0] == named.rsplit(".", 1)[0]]
            options = {"signed-by": found[0]} if found else {}
        bracket = "[" + " ".join(f"{key}={value}" for key, value in options.items()) + "] " if options else ""
        components = " ".join(source.components)
        lines += [f"deb {bracket}{source.uri} {suite} {components}".rstrip() for suite in source.suites]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def _deb822_fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    last = ""
    for line in stanza.splitlines():
        if line[:1] in {" ", "\t"} and last:
            fields[last] += " " + line.strip()
        elif ":" in line:
            last, value = line.split(":", 1)
            last = last.strip().lower()
            fields[last] = value.strip()
    return fields
