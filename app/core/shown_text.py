"""Gives values of a column of any type as the text that people see, and finds values by such text."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import (
    BINARY,
    VARBINARY,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Time,
    TypeDecorator,
    func,
    type_coerce,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.mysql import BIT, CHAR, FLOAT, LONGBLOB, MEDIUMBLOB, SET, TINYBLOB, YEAR
from sqlalchemy.types import TypeEngine

from app.core.text import as_utf8

NUMBERS = (Integer, Numeric, Float, Boolean, BIT, YEAR)
BYTES = (BINARY, VARBINARY, LargeBinary, TINYBLOB, MEDIUMBLOB, LONGBLOB)
TIMES: dict[type[TypeEngine[Any]], type[date | time]] = {Date: date, DateTime: datetime, Time: time}
# As text, a BIT is its bytes, and a FLOAT is rounded to six digits: two people would have one id.
SHOWN_BY_ARITHMETIC = (BIT, FLOAT)
NUMBER = re.compile(r"-?[0-9]{1,65}(\.[0-9]{1,30})?")  # the digits are the most that MySQL's DECIMAL has
WITH_EXPONENT = re.compile(r"-?[0-9.]+e\+?[0-9]+")  # as DOUBLE is shown from 1e15
ZERO_DATE = "0000-00-00"
ZERO_TIME = re.compile(f"{ZERO_DATE}( 00:00:00)?")
INT64 = 2**63
MAX_IN_FLOAT = 2**24  # above, a FLOAT does not hold every whole number


class ShownText(TypeDecorator[str]):
    """The type of a column whose values are read as the database shows them: bytes as UTF-8, zeros of ZEROFILL, whole
    numbers without decimals, no spaces around the text. NULL is empty. Bytes that are no UTF-8 become surrogates, as
    in names of files.

    Text in a comparison becomes a value of the column's own type, so that its index is used. The database may still
    find other texts (`a1` for `A1`, 7 for `7x`) and miss some (` A1` for `A1`): compare the text of what it finds, and
    when this is none of it, that of all rows.
    """

    impl = String
    cache_ok = True

    def __init__(self, stored: TypeEngine[Any]) -> None:
        is_text = isinstance(stored, (String, *BYTES))
        super().__init__(getattr(stored, "length", None) if is_text else None)
        self.stored = stored
        self.is_number = isinstance(stored, NUMBERS)
        self.is_time = isinstance(stored, tuple(TIMES))

    def text_by_sql(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the text as an SQL expression, in which whole numbers may have decimals."""
        if isinstance(self.stored, String) and not isinstance(self.stored, SET):
            return type_coerce(column, String)
        if isinstance(self.stored, SHOWN_BY_ARITHMETIC):
            column = type_coerce(column, Integer) + 0
        if isinstance(self.stored, BYTES):
            return func.replace(sql_cast(column, CHAR(charset="utf8mb4")), "\0", "")  # which pads a BINARY
        return sql_cast(column, String())

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        if isinstance(self.stored, BYTES):  # decoded here: MySQL would return NULL for what is no UTF-8
            return column
        return type_coerce(self.text_by_sql(column), self)

    def process_result_value(self, value: Any, dialect: Dialect) -> str:
        if value is None:
            return ""
        if type(value) is str and not self.is_number:  # as nearly always
            return value.strip()
        if isinstance(value, bytes | bytearray):
            text = bytes(value).decode("utf-8", "surrogateescape")
            return (text.rstrip("\0") if isinstance(self.stored, BINARY) else text).strip()
        return _without_decimals(str(value)) if self.is_number else str(value).strip()

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if isinstance(self.stored, BYTES):
            data = value.encode("utf-8", "surrogateescape")
            is_padded = isinstance(self.stored, BINARY) and dialect.name != "sqlite"
            return data.ljust(self.stored.length or 0, b"\0") if is_padded else data
        if self.is_number and NUMBER.fullmatch(value):
            return _number(value, dialect)
        return _time(self.stored, value) if self.is_time else as_utf8(value)

    def keeps(self, text: str) -> bool:
        """Say whether the column would show this text again, and not 101 for `000101`. What it cannot hold at all the
        database refuses."""
        if self.is_time:
            return is_zero_time(text) or _time(self.stored, text) == text
        if not self.is_number or not NUMBER.fullmatch(text):
            return True
        if "." in text or (isinstance(self.stored, FLOAT) and abs(int(text)) > MAX_IN_FLOAT):
            return False
        width = getattr(self.stored, "display_width", None) if getattr(self.stored, "zerofill", False) else None
        return text == str(int(text)).zfill(width or 0)


def is_zero_time(text: str) -> bool:
    """Tell whether this is MySQL's own word for no date. MySQL 8.0 refuses to compare a date with it: compare the texts
    (`text_by_sql`)."""
    return ZERO_TIME.fullmatch(text) is not None


def show_as_text(column: Column[Any]) -> None:
    """Read the column of a reflected table as ShownText."""
    column.type = ShownText(column.type)


def shown_text(column: Column[Any]) -> ShownText:
    """Return the type of a column that `show_as_text` has changed."""
    return cast("ShownText", column.type)


def _without_decimals(number: str) -> str:
    """Write a whole number without `.000` and `e15`."""
    plain = f"{Decimal(number):f}" if WITH_EXPONENT.fullmatch(number) else number
    whole, _, decimals = plain.partition(".")
    return plain if decimals.strip("0") else whole


def _number(text: str, dialect: Dialect) -> int | float | Decimal:
    number = Decimal(text)
    if number == number.to_integral_value() and abs(number) < INT64:
        return int(number)
    return float(number) if dialect.name == "sqlite" else number  # as text, MySQL would compare it inexactly


def _time(stored: TypeEngine[Any], text: str) -> str | None:
    """Return what MySQL takes for a time, None for any other text: from 8.0 on it ends the query over it."""
    kind = next(python for sql, python in TIMES.items() if isinstance(stored, sql))
    try:
        return str(kind.fromisoformat(text))
    except ValueError:
        return None
