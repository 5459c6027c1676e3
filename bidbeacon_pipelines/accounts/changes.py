"""Changes that people make to accounts: pause, resume, cadence, alias.

Each is recorded in a session, with who made it.

A change made with plain SQL is noticed later, and recorded as made by "SQL".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from bidbeacon_pipelines.accounts.ads_account_queries import AdsAccount
from bidbeacon_pipelines.accounts.cadence import describe, keep_cadence
from bidbeacon_pipelines.accounts.cadence_rules import Cadence
from bidbeacon_pipelines.accounts.change_queries import (
    has_unrecorded_changes,
    take_aliases,
    take_cadences,
    take_pauses,
)
from bidbeacon_pipelines.accounts.names import check_alias
from bidbeacon_pipelines.accounts.names import rename as rename_ads_account
from bidbeacon_pipelines.accounts.queries import Account, list_subjects, set_enabled
from bidbeacon_pipelines.actions import (
    AccountPaused,
    AccountRenamed,
    AccountResumed,
    CadenceChanged,
)
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.settings import Settings
from bidbeacon_pipelines.windows.resumed import release_stopped_windows
from bidbeacon_sessions import Action, SessionRecorder, SessionStore, Subject, with_job_session
from bidbeacon_sessions.writes import name_subjects

COMMAND_LINE: Final = "command line"
PAGE: Final = "page"
SQL: Final = "SQL"


class AccountChanges:
    """Changes accounts on behalf of one user.

    Args:
        store: of the database with accounts and sessions.
        settings: of the pipelines.
        by: the user who makes the changes.
    """

    def __init__(self, store: SessionStore, settings: Settings, *, by: str) -> None:
        self._store = store
        self._settings = settings
        self._by = by

    def pause(self, account: Account) -> None:
        """Stop requests for an account; do nothing if it is already paused."""
        if not account.enabled:
            return
        with self._changing(account.ref) as (connection, _):
            set_enabled(connection, account.account_key, enabled=False)

    def resume(self, account: Account) -> None:
        """Refresh an account again, and clear why its ads account needs a person."""
        if account.enabled and account.needs_person is None:
            return
        with self._changing(account.ref) as (connection, session):
            set_enabled(connection, account.account_key, enabled=True)
            release_stopped_windows(connection, account.account_key)
            if account.enabled:  # it only needed a person
                session.add_in(connection, AccountResumed(account=account.account_key, by=self._by))

    def set_cadence(self, account: AdsAccount, cadence: Cadence) -> None:
        """Set how often an ads account is refreshed."""
        with self._changing(account.ref) as (connection, _):
            keep_cadence(
                connection, account.ads_account_key, cadence, read_now(connection, self._settings)
            )

    def rename(self, account: AdsAccount, alias: str | None) -> AdsAccount:
        """Set or remove the alias of an ads account; return the account with its new label.

        Raises:
            BadAliasError: the alias is too long, or is not one line of text.
        """
        checked = None if alias is None else check_alias(alias)
        with self._changing(account.ref) as (connection, _):
            return rename_ads_account(connection, account, checked)

    @contextmanager
    def _changing(self, about: Subject) -> Iterator[tuple[Connection, SessionRecorder]]:
        """Record what the block changes, in its own transaction; record earlier changes by SQL separately."""
        with (
            with_job_session(
                "change-account", store=self._store, account=about, input={"by": self._by}
            ) as session,
            self._store.begin() as connection,
        ):
            _record(connection, session, by=SQL, at=read_now(connection, self._settings))
            yield connection, session
            _record(connection, session, by=self._by, at=read_now(connection, self._settings))


def notice_changes(store: SessionStore, *, now: datetime) -> None:
    """Record in a session what was changed by SQL since the last call; open no session if nothing was."""
    with store.begin() as connection:
        if not has_unrecorded_changes(connection):
            return
    with (
        with_job_session("change-account", store=store, input={"by": SQL}) as session,
        store.begin() as connection,
    ):
        name_subjects(connection, list_subjects(connection))
        _record(connection, session, by=SQL, at=now)


def _record(connection: Connection, session: SessionRecorder, *, by: str, at: datetime) -> None:
    for action in _changes(connection, by=by, at=at):
        session.add_in(connection, action)


def _changes(connection: Connection, *, by: str, at: datetime) -> Iterator[Action]:
    for row in take_pauses(connection, by=by, at=at):
        kind = AccountResumed if row["enabled"] else AccountPaused
        if row["enabled"]:
            release_stopped_windows(connection, row["account_key"])
        yield kind(account=row["account_key"], by=by)
    for row in take_cadences(connection, by=by, at=at):
        words = describe(row["refresh_every"], row["refresh_cron"])
        yield CadenceChanged(account=row["ads_account_key"], cadence=words, by=by)
    for row in take_aliases(connection):
        yield AccountRenamed(
            account=row["ads_account_key"], before=row["before"], name=row["name"], by=by
        )
