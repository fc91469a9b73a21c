"""The machine's apt configuration is read in both of its formats."""

import pytest

from cdc.local.apt_sources import (
    Source,
    System,
    distribution_archives,
    parse_deb822,
    parse_one_line,
    parse_os_release,
    render,
    unstable_archive,
)

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEBIAN = System("debian", "bookworm")
UBUNTU = System("ubuntu", "noble")

DEB822 = f"""\
# The main archive
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: {KEYRING}

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main contrib
 non-free
Signed-By: {KEYRING}

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""


def test_deb822_stanzas_give_one_source_for_each_uri() -> None:
    signed = (("signed-by", KEYRING),)
    assert parse_deb822(DEB822) == [
        Source("http://mirror.example/debian", ("bookworm", "bookworm-updates"), ("main",), signed),
        Source(
            "http://mirror.example/debian-security", ("bookworm-security",), ("main", "contrib", "non-free"), signed
        ),
    ]


def test_a_key_written_into_a_stanza_is_left_to_the_distributions_keyring() -> None:
    text = "Types: deb\nURIs: http://m.example/debian\nSuites: sid\nComponents: main\nSigned-By:\n -----BEGIN PGP\n .\n abc\n"
    (source,) = parse_deb822(text)
    assert source.options == ()
    assert render([source], DEBIAN, [KEYRING]) == f"deb [signed-by={KEYRING}] http://m.example/debian sid main\n"


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("deb http://m.example/debian sid main", Source("http://m.example/debian", ("sid",), ("main",))),
        (
            "  deb [arch=amd64 signed-by=/k.gpg] http://m.example/ubuntu noble main universe # ours",
            Source(
                "http://m.example/ubuntu",
                ("noble",),
                ("main", "universe"),
                (("arch", "amd64"), ("signed-by", "/k.gpg")),
            ),
        ),
        (
            "deb mirror+file:/etc/apt/mirrors/debian.list bookworm main",
            Source("mirror+file:/etc/apt/mirrors/debian.list", ("bookworm",), ("main",)),
        ),
    ],
)
def test_one_line_sources(line: str, source: Source) -> None:
    assert parse_one_line(f"# deb http://no.example/ x main\ndeb-src http://no.example/ x main\n{line}\n") == [source]


def test_only_the_distributions_own_archives_are_used() -> None:
    sources = [
        *parse_deb822(DEB822),
        Source("http://other.example/linux/debian", ("bookworm",), ("stable",)),
        Source("http://other.example/node", ("nodistro",), ("main",)),
        Source("http://other.example/pg", ("bookworm-pgdg",), ("main",)),
        Source("cdrom:[Debian]/", ("bookworm",), ("main",)),
    ]
    assert [source.uri for source in distribution_archives(sources, DEBIAN)] == [
        "http://mirror.example/debian",
        "http://mirror.example/debian-security",
    ]


def test_unstable_comes_from_the_mirror_of_the_main_archive_and_never_on_ubuntu() -> None:
    archives = distribution_archives(reversed(parse_deb822(DEB822)), DEBIAN)
    found = unstable_archive(archives, DEBIAN)
    assert found is not None
    assert render([found], DEBIAN, []) == f"deb [signed-by={KEYRING}] http://mirror.example/debian unstable main\n"
    assert unstable_archive([Source("http://m.example/ubuntu", ("noble",), ("main",))], UBUNTU) is None


def test_a_source_without_options_is_signed_by_the_keyring_that_is_there() -> None:
    source = Source("http://m.example/debian", ("trixie", "trixie-updates"), ("main",))
    rings = ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/other-archive-keyring.gpg"]
    assert render([source], System("debian", "trixie"), rings).splitlines() == [
        f"deb [signed-by={rings[0]}] http://m.example/debian trixie main",
        f"deb [signed-by={rings[0]}] http://m.example/debian trixie-updates main",
    ]


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ('ID=debian\nVERSION_CODENAME=bookworm\nVERSION_ID="12"\n', DEBIAN),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME="noble"\nUBUNTU_CODENAME=noble\n', UBUNTU),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n', UBUNTU),
        ("ID=fedora\n", System("fedora", "")),
    ],
)
def test_os_release(text: str, system: System) -> None:
    assert parse_os_release(text) == system
