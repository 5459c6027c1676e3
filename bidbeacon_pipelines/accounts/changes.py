"""Changes that users make to accounts, each recorded in a session with the user's name."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.credential_queries import set_owner
from bidbeacon_pipelines.accounts.names import check_alias
from bidbeacon_pipelines.accounts.queries import (
    change_ads_account,
    get_ads_account,
    list_subjects,
    set_paused,
    set_resumed,
)
from bidbeacon_pipelines.accounts.rules import Cadence
from bidbeacon_pipelines.accounts.tables import Account, AdsAccount
from bidbeacon_pipelines.actions import (
    AccountAssigned,
    AccountPaused,
    AccountRenamed,
    AccountResumed,
    CadenceChanged,
)
from bidbeacon_pipelines.credentials import Credential
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionRecorder, SessionStore, Subject, with_job_session
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.writes import name_subjects

COMMAND_LINE: Final = "command line"
PAGE: Final = "page"


class NotListedError(UsageError):
    """A user chose a credential for which Amazon does not list the ads account."""

    def __init__(self, account: AdsAccount, credential: str) -> None:
        listed = ", ".join(account.listed_by) or "none"
        super().__init__(
            f"Expected a credential for which Amazon lists {account.label} ({listed}), "
            f"got: {credential}. `bidbeacon accounts sync` updates this list."
        )


class AccountChanges:
    """Changes to accounts that the user `by` makes, each recorded in a session."""

    def __init__(self, store: SessionStore, settings: Settings, *, by: str) -> None:
        self._store = store
        self._settings = settings
        self._by = by

    def pause(self, account: Account) -> None:
        """Stop requests for an account; do nothing if it is already paused."""
        if account.paused:
            return
        key = account.account_key
        with self._changing(account.ref) as (connection, session):
            set_paused(connection, account, by=self._by)
            session.add_in(connection, AccountPaused(account=key, by=self._by))

    def resume(self, account: Account) -> None:
        """Resume an account that is paused or whose ads account needs attention."""
        if not account.can_resume:
            return
        key = account.account_key
        with self._changing(account.ref) as (connection, session):
            set_resumed(connection, account)
            session.add_in(connection, AccountResumed(account=key, by=self._by))

    def set_cadence(self, account: AdsAccount, cadence: Cadence) -> None:
        """Set how often an ads account is refreshed."""
        key = account.ads_account_key
        with self._changing(account.ref) as (connection, session):
            now = read_now(connection, self._settings)
            if store_cadence(connection, key, cadence, now, by=self._by):
                action = CadenceChanged(account=key, cadence=str(cadence), by=self._by)
                session.add_in(connection, action)

    def rename(self, account: AdsAccount, alias: str | None) -> AdsAccount:
        """Set an alias, or remove it if None; return the ads account, or raise `BadAliasError`."""
        checked = None if alias is None else check_alias(alias)
        key = account.ads_account_key
        with self._changing(account.ref) as (connection, session):
            before = get_ads_account(connection, key).label
            change_ads_account(connection, account.account_id, alias=checked)
            name_subjects(connection, list_subjects(connection))
            renamed = get_ads_account(connection, key)
            if renamed.label != before:
                action = AccountRenamed(account=key, before=before, name=renamed.label, by=self._by)
                session.add_in(connection, action)
            return renamed

    def assign(self, account: AdsAccount, credential: Credential) -> None:
        """Assign an ads account to a credential that lists it, or raise `NotListedError`."""
        if credential.name not in account.listed_by:
            raise NotListedError(account, credential.name)
        id_, name, before = account.account_id, credential.name, account.credential
        with self._changing(account.ref) as (connection, session):
            if before != name:
                set_owner(connection, id_, name, credential.client_id)
            change_ads_account(connection, id_, credential_by=self._by)
            facts = {"account": account.ads_account_key, "credential_name": name, "by": self._by}
            moved_from = None if before == name else before
            session.add_in(connection, AccountAssigned(**facts, before=moved_from))

    @contextmanager
    def _changing(self, about: Subject) -> Iterator[tuple[Connection, SessionRecorder]]:
        given = {"by": self._by}
        with (
            with_job_session(
                "change-account", store=self._store, account=about, input=given
            ) as session,
            self._store.begin() as connection,
        ):
            yield connection, session


def store_cadence(
    connection: Connection, key: str, cadence: Cadence, now: datetime, *, by: str
) -> bool:
    """Set an ads account's cadence and its next refresh; return whether the cadence changed.

    For an interval, the next refresh is counted from the last refresh. For a cron expression, it
    is counted from `now`.
    """
    account = get_ads_account(connection, key)
    if account.cadence == cadence:
        return False
    change_ads_account(
        connection,
        account.account_id,
        refresh_every=cadence.every,
        refresh_cron=cadence.cron,
        next_run_at=cadence.next_start(account.time_zone, last=account.last_run_at, now=now),
        cadence_by=by,
        cadence_at=now,
    )
    return True
