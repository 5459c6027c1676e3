"""Findings on campaigns that Amazon's reports leave out."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from sqlalchemy import Connection, RowMapping

from bidbeacon_pipelines.entities.left_out_queries import list_left_out_campaigns
from bidbeacon_pipelines.problems.findings import NAMES_SHOWN, Effect, Finding, counted, found
from bidbeacon_pipelines.settings import Settings

_MOST_ACCOUNTS: Final = 10
"""The most accounts whose campaigns are named; the others are counted."""


def left_out_campaigns(connection: Connection, settings: Settings, now: datetime) -> list[Finding]:
    """Return the finding on campaigns that reports leave out, by account, with their budgets."""
    rows = list_left_out_campaigns(connection, now)
    if not rows:
        return []
    accounts = {
        key: list(of)
        for key, of in groupby(rows, key=lambda row: (row["account_key"], row["label"]))
    }
    of = f" of {counted(len(accounts), 'account')}" if len(accounts) > 1 else ""
    extent = f"{counted(len(rows), 'campaign')}{of} left out"
    effects = [Effect(extent, "/coverage?dataset=daily_campaigns", len(rows))]
    for (key, label), campaigns in list(accounts.items())[:_MOST_ACCOUNTS]:
        effects.append(Effect(f"{label}: {_named(campaigns)}", f"/accounts/{key}"))
    if (more := len(accounts) - _MOST_ACCOUNTS) > 0:
        effects.append(Effect(f"and {counted(more, 'more account')}", "/accounts"))
    names = tuple(label for _, label in accounts)[:NAMES_SHOWN]
    not_reported = {"code": "campaigns-not-reported"}
    return [found(not_reported, *effects, names=names, accounts=len(accounts))]


def _named(campaigns: Sequence[RowMapping]) -> str:
    named = ", ".join(f"{one['name']}{_budget(one)}" for one in campaigns[:NAMES_SHOWN])
    more = len(campaigns) - NAMES_SHOWN
    return f"{named} and {more:,} more" if more > 0 else named


def _budget(campaign: RowMapping) -> str:
    if campaign["budget"] is None:
        return ""
    recurrence = (campaign["budget_recurrence"] or "").lower()
    amount = f"{campaign['budget']:,.2f} {campaign['currency_code'] or ''}".rstrip()
    return f" ({f'{recurrence} budget'.lstrip()} {amount})"
