"""Syncs the accounts that Amazon lists. They are added and updated, never deleted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bidbeacon_pipelines.accounts.pause import (
    is_credential_error,
    note_credentials_accepted,
    note_credentials_refused,
)
from bidbeacon_pipelines.accounts.queries import list_subjects, upsert_account, upsert_ads_account
from bidbeacon_pipelines.accounts.rules import account_key
from bidbeacon_pipelines.actions import AccountsSynced, AccountSyncFailed, RegionNotListed
from bidbeacon_pipelines.amazon_ads.accounts import Account, AccountListing, list_accounts
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, AuthError
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.writes import name_subjects

_MOST_PROBLEMS = 20


def sync_accounts(context: JobContext, session: SessionRecorder) -> list[str]:
    """Store every account that Amazon lists, and return their keys.

    If credentials had been refused and are accepted again, resume the accounts that were waiting
    for that.

    Raises:
        AuthError: Amazon refuses our credentials; all accounts are marked.
        AdsApiError: no region answered.
    """
    listing = _list(context, session)
    problems = list(listing.problems)
    stored: list[str] = []
    added: list[str] = []
    with context.engine.begin() as connection:
        keys = _store_ads_accounts(connection, listing, context, problems)
        for account in listing.accounts:
            if account.account_id not in keys:
                continue
            values = _values(account, keys[account.account_id])
            values["trusted"] = account.region in listing.answered_regions
            try:
                is_new = _store(connection, values, context.now())
            except ValueError as error:
                problems.append(str(error))
                continue
            stored.append(values["account_key"])
            if is_new:
                added.append(values["account_key"])
        name_subjects(connection, list_subjects(connection))
        for region, refusal in listing.errors.items():
            facts = {"region": region, "client_id": context.client.client_id}
            session.add_in(connection, RegionNotListed(**facts, cause=refusal.failure_cause))
        session.add_in(connection, _summary(listing.accounts, stored, added, problems))
        note_credentials_accepted(connection, session)
    return stored


def _store_ads_accounts(
    connection: Connection, listing: AccountListing, context: JobContext, problems: list[str]
) -> dict[str, str]:
    """Store the ads accounts, each with the region and time zone of its first country; return their keys by Amazon's id.

    An account whose id makes no key is left out and reported as a problem.
    """
    keys: dict[str, str] = {}
    first = {account.account_id: account for account in reversed(listing.accounts)}
    for account in first.values():
        values = {
            "account_id": account.account_id,
            "name": account.name,
            "client_id": context.client.client_id,
            "region": account.region,
            "time_zone": account.time_zone,
            "trusted": account.region in listing.answered_regions,
        }
        try:
            keys[account.account_id] = upsert_ads_account(connection, values, now=context.now())
        except ValueError as error:
            problems.append(str(error))
    return keys


def _list(context: JobContext, session: SessionRecorder) -> AccountListing:
    try:
        return list_accounts(context.client)
    except AdsApiError as error:
        session.add(AccountSyncFailed(cause=error.failure_cause))
        if isinstance(error, AuthError) and is_credential_error(error):
            with context.engine.begin() as connection:
                note_credentials_refused(connection, session, error)
        raise


def _values(account: Account, ads_account_key: str) -> dict[str, Any]:
    """Return an account's columns."""
    return {
        "account_id": account.account_id,
        "country_code": account.country_code,
        "account_key": account_key(account.country_code, ads_account_key),
        "name": account.name,
        "amazon_status": account.status,
        "profile_id": account.profile_id,
        "entity_id": account.entity_id,
        "region": account.region,
        "currency_code": account.currency_code,
        "time_zone": account.time_zone,
        "marketplace_id": account.marketplace_id,
        "account_type": account.account_type,
    }


def _store(connection: Connection, values: dict[str, Any], now: datetime) -> bool:
    """Store one account; return True if it is new.

    Raises:
        ValueError: the database refuses it, for example since another account has its key; the
            other accounts are stored.
    """
    try:
        with connection.begin_nested():
            return upsert_account(connection, values, now=now)
    except IntegrityError as error:
        reason = str(error.orig).partition("\n")[0]
        raise ValueError(
            f"{values['account_id']} in {values['country_code']} can't be stored: {reason}"
        ) from error


def _summary(
    accounts: Sequence[Account],
    stored: Sequence[str],
    added: Sequence[str],
    problems: Sequence[str],
) -> AccountsSynced:
    own = [
        f"{account.country_code} {account.name}: {problem}"
        for account in accounts
        for problem in account.problems
    ]
    return AccountsSynced(
        accounts=len(stored),
        added=len(added),
        disabled=sum(account.status == "DISABLED" for account in accounts),
        added_keys=tuple(added),
        problems=tuple([*problems, *own][:_MOST_PROBLEMS]),
    )
