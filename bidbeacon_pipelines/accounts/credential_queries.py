"""SQL for credentials: their ads accounts, the accounts Amazon lists, and their state."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, delete, insert, select, text

from bidbeacon_pipelines.accounts.queries import (
    RESUMED,
    change_ads_account,
    change_ads_accounts,
    needing_attention,
)
from bidbeacon_pipelines.accounts.tables import AdsAccount, CredentialListing
from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.contract.proven_queries import copy_histories
from bidbeacon_pipelines.database.base import read_rows
from bidbeacon_pipelines.database.locks import lock_until_commit


def set_credentials_need_attention(
    connection: Connection, credential: str, cause: Cause
) -> list[str]:
    """Stop the ads accounts of a refused credential; return keys of newly stopped accounts."""
    of, is_new = AdsAccount.credential == credential, AdsAccount.needs_attention.is_(None)
    return change_ads_accounts(connection, of, is_new, **needing_attention("credentials", cause))


def clear_credentials_need_attention(connection: Connection, credential: str) -> list[str]:
    """Resume ads accounts that the credential's refusal stopped; return their accounts' keys."""
    is_for_it = AdsAccount.needs_attention_for == "credentials"
    return change_ads_accounts(
        connection, AdsAccount.credential == credential, is_for_it, **RESUMED
    )


def set_owner(connection: Connection, account_id: str, credential: str, client_id: str) -> None:
    """Assign an ads account to another credential; resume it if it needs attention.

    Also copy the proven histories, which are the ages of the oldest days with rows, from the former
    client id to `client_id`.
    """
    copy_histories(connection, account_id, client_id)
    new = {"credential": credential, "client_id": client_id, "credential_by": None}
    change_ads_account(connection, account_id, **new, **RESUMED, refusals=0)


_SET_LISTED_BY = text("""
    UPDATE ads_accounts
       SET listed_by = ARRAY(SELECT DISTINCT name
                               FROM unnest(CAST(:names AS text[]) || listed_by) AS name
                              WHERE name = ANY(:names) OR name = ANY(:unsure)
                              ORDER BY name)
     WHERE account_id = :id AND listed_by <> :names""")


def set_listed_by(
    connection: Connection, listed_by: Mapping[str, Sequence[str]], unsure: Collection[str]
) -> None:
    """Store the credentials for which Amazon lists each ads account.

    A stored credential is also kept if it is in `unsure`: its current list is incomplete.
    """
    values = [
        {"id": account_id, "names": sorted(names), "unsure": list(unsure)}
        for account_id, names in listed_by.items()
    ]
    if values:
        connection.execute(_SET_LISTED_BY, values)


def replace_listings(
    connection: Connection,
    answers: Iterable[tuple[str, str | None, Cause | None]],
    session_id: UUID,
    at: datetime,
) -> None:
    """Replace the stored answers of the previous sync with `answers`, those of this sync.

    An answer has the credential, the region (None for all regions), and the cause if Amazon listed
    no accounts.
    """
    lock_until_commit(connection, "credential listings")
    connection.execute(delete(CredentialListing))
    sync = {"session_id": session_id, "listed_at": at}
    rows = [
        {"credential": credential, "region": region, "cause": why, **sync}
        for credential, region, why in answers
    ]
    connection.execute(insert(CredentialListing), rows)


_CREDENTIALS = text("""
    WITH accounts AS (
        SELECT credential, count(*) AS ads_accounts,
               count(*) FILTER (WHERE NOT listed_by <@ ARRAY[credential]) AS listed_twice,
               (array_agg(needs_attention)
                   FILTER (WHERE needs_attention_for = 'credentials'))[1] AS refused,
               min(needs_attention_since)
                   FILTER (WHERE needs_attention_for = 'credentials') AS refused_since
          FROM ads_accounts
         GROUP BY credential),
    answers AS (
        SELECT credential, max(called_at) AS last_answer_at
          FROM api_calls
         WHERE status < 400 AND called_at > now() - interval '1 day'
         GROUP BY credential)
    SELECT credential, coalesce(ads_accounts, 0) AS ads_accounts,
           coalesce(listed_twice, 0) AS listed_twice, refused, refused_since, last_answer_at
      FROM accounts FULL JOIN answers USING (credential)""")


def summarize_credentials(connection: Connection) -> dict[str, RowMapping]:
    """Return the state, by name, of each credential with ads accounts or a recent answer.

    Columns: credential, ads_accounts (number of its ads accounts), listed_twice (number of its ads
    accounts that other credentials list too), refused (the cause, or None), refused_since,
    last_answer_at (time of Amazon's last successful answer in the last day).
    """
    rows = connection.execute(_CREDENTIALS).mappings()
    return {row["credential"]: row for row in rows}


def list_owners(connection: Connection) -> dict[str, str]:
    """Return the credential of each ads account, by Amazon's id of the ads account."""
    owners = text("SELECT account_id, credential FROM ads_accounts")
    return {row.account_id: row.credential for row in connection.execute(owners)}


def list_listed(connection: Connection, credential: str) -> list[AdsAccount]:
    """Return the ads accounts that Amazon lists for a credential, sorted by key."""
    listed = select(AdsAccount).where(AdsAccount.listed_by.contains([credential]))
    return read_rows(connection, listed.order_by(AdsAccount.ads_account_key))
