"""Stops accounts that Amazon refuses; resumes them if their credential is accepted again."""

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.credential_queries import (
    clear_credentials_need_attention,
    set_credentials_need_attention,
)
from bidbeacon_pipelines.accounts.queries import count_refusal, list_countries, set_needs_attention
from bidbeacon_pipelines.accounts.tables import AdsAccount
from bidbeacon_pipelines.actions import (
    AccountNeedsAttention,
    CredentialsAccepted,
    CredentialsRefused,
)
from bidbeacon_pipelines.amazon_ads.errors import AuthError, CredentialRefused, MissingRights
from bidbeacon_pipelines.causes import with_detail
from bidbeacon_pipelines.credentials import shown_name
from bidbeacon_sessions import SessionRecorder

MOST_REFUSALS = 3
"""An ads account is stopped after this many refusals in a row: one may come from a gateway."""


def record_refusal(
    connection: Connection, session: SessionRecorder, account: AdsAccount, error: AuthError
) -> bool:
    """Count Amazon's refusal of a request, and stop the accounts if a retry can't help.

    If the credential is refused, all of its accounts are stopped. Any other refusal stops the ads
    account if rights are missing, or if it is the `MOST_REFUSALS`th refusal in a row.

    Returns:
        Whether the requests are stopped. If not, the refused request may be sent again later.
    """
    if isinstance(error, CredentialRefused):
        stop_credential(connection, session, account.credential, error)
        return True
    refusals = count_refusal(connection, account.account_id)
    if refusals < MOST_REFUSALS and not isinstance(error, MissingRights):
        return False
    # Resuming one country resumes requests for all of them.
    resumed = min(list_countries(connection, account.account_id), key=lambda one: one.paused)
    why = with_detail(error.failure_cause, account=resumed.account_key, refusals=refusals)
    for key in set_needs_attention(connection, account.account_id, why):
        session.add_in(connection, AccountNeedsAttention(account=key, cause=why))
    return True


def stop_credential(
    connection: Connection, session: SessionRecorder, credential: str, error: CredentialRefused
) -> None:
    """Stop requests for all accounts of a credential, and record the newly stopped accounts."""
    why = error.failure_cause
    if keys := set_credentials_need_attention(connection, credential, why):
        name = shown_name(credential)
        refused = CredentialsRefused(
            credential_name=name, cause=why, accounts=len(keys), keys=tuple(keys)
        )
        session.add_in(connection, refused)


def resume_credential(connection: Connection, session: SessionRecorder, credential: str) -> None:
    """Resume the accounts that were stopped only because their credential was refused."""
    if keys := clear_credentials_need_attention(connection, credential):
        name = shown_name(credential)
        accepted = CredentialsAccepted(credential_name=name, accounts=len(keys), keys=tuple(keys))
        session.add_in(connection, accepted)
