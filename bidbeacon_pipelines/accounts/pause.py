"""Stops accounts that Amazon refuses, which need attention then, and resumes them when Amazon accepts our credentials again."""

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.queries import (
    clear_credentials_need_attention,
    count_refusal,
    list_countries,
    set_credentials_need_attention,
    set_needs_attention,
)
from bidbeacon_pipelines.actions import (
    AccountNeedsAttention,
    CredentialsAccepted,
    CredentialsRefused,
)
from bidbeacon_pipelines.amazon_ads.errors import AuthError, MissingRights, NotAuthorized
from bidbeacon_pipelines.causes import with_detail
from bidbeacon_sessions import SessionRecorder

MOST_REFUSALS = 3
"""So many answers in a row that an account isn't ours to ask for are believed. One alone may be an odd answer of a gateway."""


def is_credential_error(error: AuthError) -> bool:
    """Return whether an error is the token endpoint's, whatever its code: `NotAuthorized` alone concerns one account."""
    return not isinstance(error, NotAuthorized)


def note_refusal(
    connection: Connection, session: SessionRecorder, account_id: str, error: AuthError
) -> bool:
    """Stop requests for all accounts if Amazon refuses our credentials, or for an ads account that was refused too often in a row.

    An account without the right to be reported on is believed at once: no retry helps.

    Returns:
        Whether manual action is needed now. Otherwise the refusal is counted, and the request may
        be repeated later.
    """
    if is_credential_error(error):
        note_credentials_refused(connection, session, error)
        return True
    refusals = count_refusal(connection, account_id)
    if refusals < MOST_REFUSALS and not isinstance(error, MissingRights):
        return False
    resumable = _key_to_resume(connection, account_id)
    why = with_detail(error.failure_cause, account=resumable, refusals=refusals)
    for key in set_needs_attention(connection, account_id, why):
        session.add_in(connection, AccountNeedsAttention(account=key, cause=why))
    return True


def _key_to_resume(connection: Connection, account_id: str) -> str:
    """Return the key of an account of an ads account: resuming it asks for all countries again.

    One that is not paused comes first.
    """
    countries = list_countries(connection, account_id)
    return min(countries, key=lambda account: account.paused).account_key


def note_credentials_refused(
    connection: Connection, session: SessionRecorder, error: AuthError
) -> None:
    """Stop requests for all accounts; only the session that notices it first records it."""
    why = error.failure_cause
    if keys := set_credentials_need_attention(connection, why):
        refused = CredentialsRefused(cause=why, accounts=len(keys), keys=tuple(keys))
        session.add_in(connection, refused)


def note_credentials_accepted(connection: Connection, session: SessionRecorder) -> None:
    """Resume all accounts that were only waiting for valid credentials."""
    keys = clear_credentials_need_attention(connection)
    if keys:
        session.add_in(connection, CredentialsAccepted(accounts=len(keys), keys=tuple(keys)))
