"""The base class and shared columns of this package's tables, and a function to read rows."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Self, TypeVar

from sqlalchemy import Connection, ForeignKeyConstraint, MetaData, Numeric, Select, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from sqlalchemy.types import BigInteger, DateTime

from bidbeacon_sessions.tables import SessionsBase

Row = TypeVar("Row")

TOTAL, TOTAL_COUNT = Numeric(38, 6), Numeric(38, 0)
"""The types of sums over many rows, which are wide enough not to overflow."""


class PipelinesBase(DeclarativeBase):
    """The base class of the tables of this package."""

    metadata = MetaData(naming_convention=SessionsBase.metadata.naming_convention)
    type_annotation_map: ClassVar = {
        datetime: DateTime(timezone=True),
        str: Text,
        int: BigInteger,
        Decimal: Numeric(20, 6),
        dict[str, Any]: JSONB(none_as_null=True),
    }

    def with_changes(self, **changes: Any) -> Self:
        """Return a copy of the row with the given columns changed."""
        return type(self)(**self.as_dict() | changes)

    def changes_from(self, before: Self) -> dict[str, Any]:
        """Return the columns whose values differ from `before`, with the new values."""
        old = before.as_dict()
        return {name: value for name, value in self.as_dict().items() if value != old[name]}

    def as_dict(self) -> dict[str, Any]:
        """Return the values of all columns by name."""
        return {column.key: getattr(self, column.key) for column in self.__table__.columns}


def amazon_id(*, primary_key: bool = False, sort_order: int = 0, comment: str | None = None) -> Any:
    """Declare a column of Amazon ids; `sort_order` is the column's position in the table."""
    return mapped_column(
        Text(collation="C"), primary_key=primary_key, sort_order=sort_order, comment=comment
    )


def account_reference() -> ForeignKeyConstraint:
    """Declare the foreign key from a row to the row's account."""
    return ForeignKeyConstraint(
        ["account_id", "country_code"],
        ["advertiser_accounts.account_id", "advertiser_accounts.country_code"],
    )


def read_rows(connection: Connection, statement: Select[Row]) -> list[Row]:
    """Return a statement's rows as objects of their class, detached from SQLAlchemy's session."""
    with Session(connection, join_transaction_mode="rollback_only") as session:
        return list(session.scalars(statement))
