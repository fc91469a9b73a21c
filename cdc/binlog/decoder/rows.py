"""What a decoder makes of one row: values in column order."""

from enum import Enum

from cdc.model.change import Value


class Absent(Enum):
    """A column that is not in the row image (`binlog_row_image` MINIMAL or NOBLOB): not NULL, but unchanged or not told."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
Values = tuple[Value | Absent, ...]


class PartialValues(tuple[Value | Absent, ...]):
    """Values that may have ABSENT among them. An image that has is of this type, so that whole ones, which are nearly all, are
    told without a look at each value."""

    __slots__ = ()


DecodedRow = tuple[str, Values | None, Values | None]
"""(op, before, after): op is c, u or d; each image is aligned with `schema.columns`, or None where the op has none. All rows of
one event lack the same columns in their before images, and the same in their after images."""
