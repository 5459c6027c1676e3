"""Campaigns of accounts, built on the product's own table."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, insert

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.entities.tables import Campaign
from tests.support.ad_products import SP


def add_campaign(db: Connection | Engine, account: Account, **columns: Any) -> None:
    """Store a campaign of an account: of Sponsored Products, enabled and seen now, unless told otherwise."""
    values = {
        "campaign_id": uuid4().hex,
        "ad_product": SP,
        "state": "ENABLED",
        "seen_at": datetime.now(UTC),
    }
    statement = insert(Campaign).values(account.identity | values | columns)
    if isinstance(db, Connection):
        db.execute(statement)
        return
    with db.begin() as connection:
        connection.execute(statement)
