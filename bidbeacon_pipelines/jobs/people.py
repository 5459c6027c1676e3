"""What a refusal by Amazon means for accounts: who needs a person, and from when on nobody does."""

from sqlalchemy import Connection

from bidbeacon_pipelines.actions import AccountNeedsPerson, CredentialsAccepted, CredentialsRefused
from bidbeacon_pipelines.ads_api.errors import AuthError, NotAuthorized
from bidbeacon_pipelines.store.accounts import (
    Account,
    clear_credentials_need_person,
    set_credentials_need_person,
    set_needs_person,
)
from bidbeacon_sessions import SessionRecorder

# The token endpoint's codes (RFC 6749, 5.2): no answer about an account has one of them.
_CREDENTIAL_CODES = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)


def concerns_credentials(code: str | None) -> bool:
    """Whether a refusal that is stored with this code is about who we are, and so about all accounts."""
    return code in _CREDENTIAL_CODES


def is_credential_error(error: AuthError) -> bool:
    """Whether an error is the token endpoint's, whatever its code: `NotAuthorized` alone concerns one account."""
    return not isinstance(error, NotAuthorized)


def note_refusal(
    connection: Connection,
    session: SessionRecorder,
    account: Account,
    reason: str,
    *,
    of_credentials: bool,
) -> None:
    """Ask nothing more for the account that Amazon refused, or for all of them where it refuses our credentials."""
    if of_credentials:
        note_credentials_refused(connection, session, reason)
        return
    set_needs_person(connection, account, reason)
    session.add_in(connection, AccountNeedsPerson(account=account.account_key, reason=reason))


def note_credentials_refused(connection: Connection, session: SessionRecorder, reason: str) -> None:
    """Ask nothing more for any account; it is told once, by the session that finds it out."""
    keys = set_credentials_need_person(connection, reason)
    if keys:
        session.add_in(connection, CredentialsRefused(reason=reason, accounts=len(keys), keys=tuple(keys)))


def note_credentials_accepted(connection: Connection, session: SessionRecorder) -> None:
    """Go on with all accounts that only waited for credentials that Amazon accepts."""
    keys = clear_credentials_need_person(connection)
    if keys:
        session.add_in(connection, CredentialsAccepted(accounts=len(keys), keys=tuple(keys)))
