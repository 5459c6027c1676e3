"""What many rows add up to fits its column, whatever each row has.

Revision ID: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_AMOUNTS = ("sales", "spend", "hourly_sales", "hourly_spend", "spend_difference", "sales_difference")
_COUNTS = ("impressions", "clicks", "orders", "hourly_impressions", "hourly_clicks", "hourly_orders")


def upgrade() -> None:
    _widen("report_windows", dict.fromkeys(("spend", "sales"), "numeric(38, 6)"))
    amounts = dict.fromkeys(_AMOUNTS, "numeric(38, 6)")
    _widen("account_daily_summaries", amounts | dict.fromkeys(_COUNTS, "numeric(38, 0)"))


def _widen(table: str, types: dict[str, str]) -> None:
    changes = ", ".join(f"ALTER COLUMN {column} TYPE {type_}" for column, type_ in types.items())
    op.execute(f"ALTER TABLE {table} {changes}")
