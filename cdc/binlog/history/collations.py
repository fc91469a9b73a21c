"""Which collation a column takes where the statement does not name one.

MySQL: https://dev.mysql.com/doc/refman/8.4/en/charset-syntax.html; MariaDB:
https://mariadb.com/docs/server/reference/data-types/string-data-types/character-sets/setting-character-sets-and-collations.
"""

from cdc.binlog.decoder.collations import COLLATIONS, charset_of
from cdc.binlog.history.context import Context

# Each charset's default (SHOW CHARACTER SET); the same in both products but for utf8mb4, and "<charset>_general_ci" if not here.
_DEFAULTS = {
    "armscii8": "armscii8_general_ci",
    "big5": "big5_chinese_ci",
    "binary": "binary",
    "cp932": "cp932_japanese_ci",
    "dec8": "dec8_swedish_ci",
    "eucjpms": "eucjpms_japanese_ci",
    "euckr": "euckr_korean_ci",
    "gb18030": "gb18030_chinese_ci",
    "gb2312": "gb2312_chinese_ci",
    "gbk": "gbk_chinese_ci",
    "hp8": "hp8_english_ci",
    "latin1": "latin1_swedish_ci",
    "latin5": "latin5_turkish_ci",
    "sjis": "sjis_japanese_ci",
    "swe7": "swe7_swedish_ci",
    "tis620": "tis620_thai_ci",
    "ujis": "ujis_japanese_ci",
}
_KNOWN = frozenset(COLLATIONS.values())
# UNICODE stands for ucs2, ASCII for latin1, BYTE for binary (MySQL's and MariaDB's grammar, "opt_charset_with_opt_binary").
SHORTHANDS = {"ASCII": "latin1", "UNICODE": "ucs2", "BYTE": "binary"}


def charset_name(name: str) -> str:
    """`utf8` is an alias of utf8mb3 in all versions there are."""
    lower = name.lower()
    return "utf8mb3" if lower == "utf8" else lower


def collation_name(name: str, charset: str | None = None) -> str:
    """In full; MariaDB lets `utf8mb4_` away where the charset is told. Raises LookupError for one that we do not know."""
    lower = name.lower()
    if lower.startswith("utf8_"):
        lower = "utf8mb3" + lower.removeprefix("utf8")
    for full in (lower, f"{charset}_{lower}"):
        if full in _KNOWN:
            return full
    raise LookupError(f"collation {name} is not known")


def default_collation(charset: str, context: Context) -> str:
    """Raises LookupError for a charset that we do not know."""
    if charset == "utf8mb4":
        return _of_utf8mb4(context)
    found = _DEFAULTS.get(charset, f"{charset}_general_ci")
    if found not in _KNOWN:
        raise LookupError(f"charset {charset} is not known")
    return found


def _of_utf8mb4(context: Context) -> str:
    if context.session.utf8mb4_collation is not None:
        return by_id(context.session.utf8mb4_collation)
    # MySQL says it with every statement since 8.0.11; who does not is older.
    return "utf8mb4_general_ci"


def binary_collation(charset: str) -> str:
    return "binary" if charset == "binary" else f"{charset}_bin"


def by_id(number: int) -> str:
    if number not in COLLATIONS:
        raise LookupError(f"collation {number} is not known")
    return COLLATIONS[number]


def resolved(charset: str | None, collation: str | None, default: str | None, context: Context) -> str | None:
    """What CHARACTER SET and COLLATE (either may be missing) come to; `DEFAULT` as a charset is the default's."""
    if charset is not None:
        charset = charset_name(charset)
    if collation is not None and collation.upper() != "DEFAULT":
        base = charset or (None if default is None else charset_of(default))
        return collation_name(collation, base)
    if charset is None or charset == "default":
        return default
    return default_collation(charset, context)
