"""Numbers, dates and times for `tests.support.type_space`."""

import struct
from random import Random

from tests.support.type_kind import Kind, Literals, of_type

_INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}


def _integer(low: int, high: int) -> Literals:
    return lambda rng: str(
        rng.randint(low, high) if rng.random() < 0.7 else rng.choice((low, high, 0, rng.randint(0, 9)))
    )


def _decimal_text(unscaled: int, scale: int) -> str:
    digits = f"{abs(unscaled):0{scale + 1}d}"
    point = len(digits) - scale
    return ("-" if unscaled < 0 else "") + digits[:point] + (f".{digits[point:]}" if scale else "")


def _decimal(precision: int, scale: int) -> Kind:
    top = 10**precision - 1
    edges = [0, 1, -1, top, -top, 10**scale % (top + 1), 10 ** (precision // 2)]

    def draw(rng: Random) -> str:
        return _decimal_text(rng.randint(-top, top) // 10 ** rng.randrange(precision), scale)

    return Kind(
        f"decimal({precision},{scale})",
        f"DECIMAL({precision},{scale})",
        [_decimal_text(edge, scale) for edge in edges],
        draw,
        of_type("decimal", precision=precision, scale=scale),
        select="CAST({c} AS CHAR)",
    )


def float_text(code: str, size: int) -> Literals:
    def draw(rng: Random) -> str:
        while True:
            (number,) = struct.unpack(code, rng.randbytes(size))
            if number == number and abs(number) != float("inf"):  # noqa: PLR0124 - NaN is the one that differs from itself
                return repr(number)

    return draw


def shortest_float32(text: str) -> float:
    """The fewest digits, from 6 up, that still name the 32 bits of the number in `text`."""
    raw = struct.pack("<f", float(text))
    tries = (float(f"{float(text):.{digits}g}") for digits in range(6, 10))
    return next(shorter for shorter in tries if struct.pack("<f", shorter) == raw)


def numbers() -> list[Kind]:
    found = []
    for name, bits in _INTEGERS.items():
        for unsigned in (False, True):
            low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            sign = " UNSIGNED" if unsigned else ""
            edges = [str(edge) for edge in (low, high, 0, 1, high // 2, high // 2 + 1)]
            column = of_type(name.lower(), unsigned=unsigned)
            found.append(Kind(name.lower() + sign, name + sign, edges, _integer(low, high), column, render=int))
    found += [
        _decimal(*size) for size in ((1, 0), (1, 1), (5, 2), (9, 9), (10, 0), (18, 9), (38, 20), (65, 0), (65, 30))
    ]
    found.append(
        Kind(
            "float",
            "FLOAT",
            [
                "0",
                "-0.0",
                "1",
                "0.1",
                "3.4028234e38",
                "-3.4028234e38",
                "1.1754944e-38",
                "1e-45",
                "123456.789",
                "16777216",
            ],
            float_text("<f", 4),
            of_type("float"),
            select="CAST({c} AS DOUBLE)",
            render=shortest_float32,
        )
    )
    found.append(
        Kind(
            "double",
            "DOUBLE",
            ["0", "-0.0e0", "0.1", "1e300", "1.7976931348623157e308", "5e-324", "9007199254740993"],
            float_text("<d", 8),
            of_type("double"),
            render=float,
        )
    )
    for bits in (1, 7, 8, 9, 17, 33, 63, 64):
        edges = [str(edge) for edge in (0, 1, 2**bits - 1, 2 ** (bits - 1))]
        column = of_type("bit", length=bits)
        draw = _integer(0, 2**bits - 1)
        found.append(Kind(f"bit({bits})", f"BIT({bits})", edges, draw, column, select="{c} + 0", render=int))
    years: Literals = lambda rng: str(rng.randint(1901, 2155))  # noqa: E731
    found.append(Kind("year", "YEAR", ["0", "'0000'", "1901", "2155"], years, of_type("year"), "{c} + 0", int))
    return found


# ---- dates and times

_DAYS = ("0000-00-00", "2024-00-00", "2024-05-00", "0000-01-01", "2023-02-31", "2024-02-29", "1000-01-01", "9999-12-31")


def _micros(rng: Random) -> str:
    return f"{rng.choice((0, 1, 999_999, 500_000, rng.randrange(1_000_000))):06d}"


def _date(rng: Random) -> str:
    return f"'{rng.randint(1, 9999):04d}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}'"


def _datetime(rng: Random) -> str:
    return (
        f"{_date(rng)[:-1]} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}.{_micros(rng)}'"
    )


def _timestamp(rng: Random) -> str:
    day = f"{rng.randint(1970, 2037):04d}-{rng.randint(1, 12):02d}-{rng.randint(2, 28):02d}"
    return f"'{day} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}.{_micros(rng)}'"


def _time(rng: Random) -> str:
    clock = f"{rng.randint(0, 838):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}.{_micros(rng)}"
    return f"'{rng.choice(('', '-'))}{clock}'"


def dates() -> list[Kind]:
    days = [f"'{day}'" for day in _DAYS]
    moments = [f"'{day} 23:59:59.999999'" for day in _DAYS[:7]] + ["'2024-02-29 00:00:00.000001'"]
    stamps = ["0000-00-00", "1970-01-01 00:00:01", "1970-01-01 00:00:01.000001", "2038-01-19 03:14:07"]
    spans = ["00:00:00", "-00:00:00.1", "-00:00:00.000001", "-00:00:01", "838:59:59", "-838:59:59", "-838:59:58.999999"]
    as_text = "CAST({c} AS CHAR)"
    found = [Kind("date", "DATE", days, _date, of_type("date"), select=as_text)]
    for scale in range(7):
        found += [
            Kind(
                f"datetime({scale})",
                f"DATETIME({scale})",
                days + moments,
                _datetime,
                of_type("datetime", scale=scale),
                select=as_text,
                render=lambda text: text.replace(" ", "T"),
            ),
            Kind(
                f"timestamp({scale})",
                f"TIMESTAMP({scale}) NULL",
                [f"'{stamp}'" for stamp in stamps],
                _timestamp,
                of_type("timestamp", scale=scale),
                select=as_text,
                render=lambda text: text.replace(" ", "T") + "Z",
            ),
            Kind(
                f"time({scale})",
                f"TIME({scale})",
                [f"'{span}'" for span in spans],
                _time,
                of_type("time", scale=scale),
                select=as_text,
            ),
        ]
    return found
