"""Reads the contract of an ads account: what Amazon is known to serve it."""

from sqlalchemy import Connection

from bidbeacon_pipelines.contract.queries import list_overrides_for
from bidbeacon_pipelines.contract.rules import Contract, make_contract
from bidbeacon_pipelines.entities.queries import find_ad_products


def read_contract(connection: Connection, account_id: str) -> Contract:
    """Return the registry with the overrides and ad products of an ads account."""
    overrides = list_overrides_for(connection, account_id)
    products = find_ad_products(connection, account_id)
    return make_contract(overrides, products)
