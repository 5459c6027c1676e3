"""Syncs the accounts that Amazon lists for our credentials; accounts are never deleted."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bidbeacon_pipelines.accounts.attention import resume_credential, stop_credential
from bidbeacon_pipelines.accounts.credential_queries import (
    list_owners,
    replace_listings,
    set_listed_by,
    set_owner,
)
from bidbeacon_pipelines.accounts.queries import (
    get_ads_account_by_id,
    list_subjects,
    upsert_account,
    upsert_ads_account,
)
from bidbeacon_pipelines.accounts.rules import account_key, choose_owner
from bidbeacon_pipelines.actions import (
    AccountAssigned,
    AccountsSynced,
    AccountSyncFailed,
    RegionNotListed,
)
from bidbeacon_pipelines.amazon_ads.accounts import AccountListing, ListedAccount, list_accounts
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, CredentialRefused
from bidbeacon_pipelines.causes import Cause
from bidbeacon_pipelines.credentials import DEFAULT, shown_name
from bidbeacon_pipelines.database.engine import first_line
from bidbeacon_pipelines.job_context import JobContext
from bidbeacon_sessions import SessionRecorder
from bidbeacon_sessions.writes import name_subjects

_MOST_PROBLEMS = 20


def sync_accounts(context: JobContext, session: SessionRecorder) -> list[str]:
    """Store every account that Amazon lists; return the keys of the stored accounts.

    If several credentials list an account, use the listing of the credential that it belongs to.
    If Amazon accepts a refused credential again, resume the accounts that the refusal stopped.

    Raises:
        AdsApiError: Amazon listed no accounts for any credential. The error is that of the first
            credential. Accounts of a refused credential now need attention.
    """
    listings, refused = _list(context, session)
    with context.engine.begin() as connection:
        sync = _Sync(connection, session, context)
        listed_by = _listed_by(listings)
        complete = {name for name, listing in listings.items() if not listing.errors}
        unsure = context.settings.credentials.keys() - complete
        owners = sync.assign(listed_by, unsure)
        for credential, listing in listings.items():
            own = [one for one in listing.accounts if owners[one.account_id] == credential]
            sync.store(credential, own, listing)
            resume_credential(connection, session, credential)
        set_listed_by(connection, listed_by, unsure)
        answers = _answers(listings, refused)
        replace_listings(connection, answers, session.session_id, context.now())
        name_subjects(connection, list_subjects(connection))
        session.add_in(connection, sync.summary())
    return sync.stored


_Listings = dict[str, AccountListing]
_Refused = dict[str, AdsApiError]


def _list(context: JobContext, session: SessionRecorder) -> tuple[_Listings, _Refused]:
    listings: _Listings = {}
    refused: _Refused = {}
    for credential in context.settings.credentials or (DEFAULT,):
        try:
            listings[credential] = list_accounts(context.client_for(credential))
        except AdsApiError as error:
            refused[credential] = error
            name = shown_name(credential)
            failed = AccountSyncFailed(credential_name=name, cause=error.failure_cause)
            with context.engine.begin() as connection:
                session.add_in(connection, failed)
                if isinstance(error, CredentialRefused):
                    stop_credential(connection, session, credential, error)
    if not listings:
        raise next(iter(refused.values()))
    return listings, refused


def _answers(
    listings: _Listings, refused: _Refused
) -> Iterator[tuple[str, str | None, Cause | None]]:
    for credential, error in refused.items():
        yield credential, None, error.failure_cause
    for credential, listing in listings.items():
        yield credential, None, None
        for region, error in listing.errors.items():
            yield credential, region, error.failure_cause


def _listed_by(listings: dict[str, AccountListing]) -> dict[str, list[str]]:
    listed: defaultdict[str, list[str]] = defaultdict(list)
    for credential, listing in listings.items():
        for account_id in dict.fromkeys(account.account_id for account in listing.accounts):
            listed[account_id].append(credential)
    return listed


@dataclass
class _Sync:
    connection: Connection
    session: SessionRecorder
    context: JobContext
    stored: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    disabled: int = 0

    def assign(self, listed_by: dict[str, list[str]], unsure: Collection[str]) -> dict[str, str]:
        """Choose the credential of each listed ads account; return the credentials by account id.

        `listed_by` has the credentials that list each ads account, by account id. `unsure`
        credentials have incomplete or missing lists. Changes are stored and recorded.
        """
        before = list_owners(self.connection)
        owners = {
            account_id: choose_owner(before.get(account_id), names, unsure)
            for account_id, names in listed_by.items()
        }
        for account_id, owner in owners.items():
            if before.get(account_id, owner) != owner:
                client_id = self.context.client_for(owner).client_id
                set_owner(self.connection, account_id, owner, client_id)
                key = get_ads_account_by_id(self.connection, account_id).ads_account_key
                facts = {"credential_name": owner, "before": before[account_id]}
                self.session.add_in(self.connection, AccountAssigned(account=key, **facts))
        return owners

    def store(self, credential: str, own: list[ListedAccount], listing: AccountListing) -> None:
        """Store the accounts of a credential; record each region whose listing failed."""
        client_id = self.context.client_for(credential).client_id
        owner = {"credential": credential, "client_id": client_id}
        keys: dict[str, str | None] = {}
        self.problems += listing.problems
        for account in own:
            has_answered = account.region in listing.answered_regions
            is_sure = account.account_id not in listing.unsure_accounts
            trusted = {"trusted": has_answered and is_sure}
            if account.account_id not in keys:  # its region and time zone are its first country's
                keys[account.account_id] = self._store_ads_account(account, {**owner, **trusted})
            if (key := keys[account.account_id]) is not None:
                self._store_account(account, key, trusted)
            label = f"{account.country_code} {account.name}"
            self.problems += (f"{label}: {one}" for one in account.problems)
            self.disabled += account.status == "DISABLED"
        for region, refusal in listing.errors.items():
            name, why = shown_name(credential), refusal.failure_cause
            refused = RegionNotListed(region=region, credential_name=name, cause=why)
            self.session.add_in(self.connection, refused)

    def _store_ads_account(
        self, account: ListedAccount, values: Mapping[str, object]
    ) -> str | None:
        try:
            values = {**vars(account), **values}
            return upsert_ads_account(self.connection, values, now=self.context.now())
        except ValueError as error:
            self.problems.append(str(error))
            return None

    def _store_account(
        self, account: ListedAccount, ads_account_key: str, trusted: dict[str, bool]
    ) -> None:
        key = account_key(account.country_code, ads_account_key)
        values = {**vars(account), **trusted, "account_key": key, "amazon_status": account.status}
        try:
            with self.connection.begin_nested():
                is_new = upsert_account(self.connection, values, now=self.context.now())
        except IntegrityError as error:
            where = f"{account.account_id} in {account.country_code}"
            self.problems.append(f"Account {where} can't be stored: {first_line(error)}")
            return
        self.stored.append(key)
        if is_new:
            self.added.append(key)

    def summary(self) -> AccountsSynced:
        return AccountsSynced(
            accounts=len(self.stored),
            added=len(self.added),
            disabled=self.disabled,
            added_keys=tuple(self.added),
            problems=_shorten(self.problems),
            problem_count=len(self.problems),
        )


def _shorten(problems: list[str]) -> tuple[str, ...]:
    left = len(problems) - _MOST_PROBLEMS
    more = [f"… and {left:,} more problem{'s' if left > 1 else ''}"] if left > 0 else []
    return (*problems[:_MOST_PROBLEMS], *more)
