"""What must come of faults that meet the syncs of an account's entities, and of the accounts, when nothing else goes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from bidbeacon_pipelines.amazon_ads.errors import (
    AdsApiError,
    CredentialRefused,
    NotAuthorized,
    NotFound,
    Throttled,
    Unavailable,
    UrlExpired,
)
from bidbeacon_pipelines.entities.sync import ExportFailedError
from bidbeacon_pipelines.values.decode import BrokenPartError
from bidbeacon_sandbox.rules import Limits
from tests.support.rules import NEW_FIELD, once, rule


@dataclass(frozen=True, kw_only=True)
class SyncCase:
    """One fault, and what must come of it.

    Attributes:
        faults: the rules.
        strikes: how often each struck.
        calls: what Amazon saw, by operation.
        seconds: how long it took.
        told: types of the actions in order, the same in a row once.
        error: what the sync fails with; None where it doesn't.
        says: pattern of what that says.
        person: pattern of why the account needs attention.
        unlisted: pattern of why the sync of accounts could not list region NA.
        found: pattern of the code and text of the finding on campaigns that reports leave out; None
            where there is none.
        creates_next: exports that the next sync asks for, once the fault is gone: those in flight
            are taken over.
    """

    faults: tuple[Limits, ...]
    strikes: tuple[int, ...] = (1,)
    calls: Mapping[str, int]
    seconds: float = 0
    told: tuple[str, ...]
    error: type[Exception] | None = None
    says: str | None = None
    person: str | None = None
    unlisted: str | None = None
    found: str | None = None
    creates_next: int = 4


EXPORTS = {"token": 1, "create_export": 4, "list_portfolios": 1, "get_export": 4, "download": 4}
LISTINGS = {"token": 1, "list_accounts": 3, "list_profiles": 6}
"""The calls of a sync of entities, and of one of accounts."""


def changed(usual: Mapping[str, int], **more: int) -> Mapping[str, int]:
    """Return calls with so many more or fewer of some."""
    counts = {name: count + more.get(name, 0) for name, count in usual.items()}
    return {name: count for name, count in counts.items() if count}


exports, listings = partial(changed, EXPORTS), partial(changed, LISTINGS)


@dataclass(frozen=True, kw_only=True)
class Synced(SyncCase):
    """All four kinds are stored."""

    calls: Mapping[str, int] = field(default_factory=exports)
    told: tuple[str, ...] = ("export-requested", "entities-synced")


@dataclass(frozen=True, kw_only=True)
class FirstFailed(SyncCase):
    """The first of the four exports comes to nothing; the next sync takes over the three others, and asks for it alone."""

    calls: Mapping[str, int] = field(default_factory=lambda: exports(get_export=-3, download=-3))
    told: tuple[str, ...] = ("export-requested", "entities-synced", "export-failed")
    creates_next: int = 1


@dataclass(frozen=True, kw_only=True)
class NotBegun(SyncCase):
    """The first export is not to be had: Amazon refuses, and nothing more is asked."""

    calls: Mapping[str, int] = field(default_factory=lambda: {"token": 1, "create_export": 1})
    told: tuple[str, ...] = ("export-failed",)


@dataclass(frozen=True, kw_only=True)
class PutOff(NotBegun):
    """Amazon throttles the exports: nothing more is asked until the time that it names, or for five minutes."""

    told: tuple[str, ...] = ("export-pending",)
    says: str | None = "Too Many Requests"


ENTITY_CASES: dict[str, SyncCase] = {
    "unknown_field in every answer": Synced(faults=(rule("answer", add=NEW_FIELD),), strikes=(14,)),
    "throttle: create": PutOff(
        faults=(once("answer", "create_export", status=429, retry_after=30),), error=Throttled
    ),
    "throttle: create, always": PutOff(
        faults=(rule("answer", "create_export", status=429),),
        strikes=(3,),
        calls={"token": 1, "create_export": 3},
        seconds=1 + 2,
        error=Throttled,
    ),
    "throttle: look": PutOff(
        faults=(once("answer", "get_export", status=429, retry_after=30),),
        calls=exports(get_export=-3, download=-4),
        told=("export-requested", "entities-synced", "export-pending"),
        error=Throttled,
        creates_next=0,
    ),
    "server_error: create": Synced(
        faults=(once("answer", "create_export", status=500),),
        calls=exports(create_export=1),
        seconds=1,
    ),
    "connection_cut: create": Synced(
        faults=(once("cut", "create_export"),), calls=exports(create_export=1), seconds=1
    ),
    "token_expiry": Synced(
        faults=(once("token", "get_export"),), calls=exports(get_export=1, token=1)
    ),
    "invalid_grant": NotBegun(
        faults=(rule("token", what="revoked"),),
        calls={"token": 1},
        told=("export-failed", "credentials-refused"),
        error=CredentialRefused,
        says="revoked",
        person="^token-revoked: ",
    ),
    "throttle: portfolios": Synced(
        faults=(once("answer", "list_portfolios", status=429, retry_after=30),),
        told=("export-requested", "portfolios-not-listed", "entities-synced"),
    ),
    "server_error: portfolios, always": Synced(
        faults=(rule("answer", "list_portfolios", status=500),),
        strikes=(3,),
        calls=exports(list_portfolios=2),
        seconds=3,
        told=("export-requested", "portfolios-not-listed", "entities-synced"),
    ),
    "forbidden: portfolios": Synced(
        faults=(once("answer", "list_portfolios", status=403),),
        told=("export-requested", "portfolios-not-listed", "entities-synced"),
    ),
    "forbidden: look": FirstFailed(
        faults=(once("answer", "get_export", status=403),),
        calls=exports(get_export=-3, download=-4),
        told=("export-requested", "entities-synced", "export-pending"),
        error=NotAuthorized,
        says="Profile has no rights",
        creates_next=0,
    ),
    "forbidden": NotBegun(
        faults=(once("answer", status=403),), error=NotAuthorized, says="Profile has no rights"
    ),
    "wrong_region": NotBegun(
        faults=(once("refuse", reason="wrong_region"),),
        error=NotFound,
        says="Profile not found in this region",
    ),
    "export_failed": FirstFailed(
        faults=(once("export_ends", code="TIMED_OUT", reason="Too much"),),
        calls=exports(get_export=-3, download=-4),
        error=ExportFailedError,
        says="The export of campaigns failed: TIMED_OUT: Too much.",
    ),
    "old_brands": Synced(
        faults=(rule("old_brands"),),
        strikes=(4,),
        found="^campaigns-not-reported: .*no ad groups. .*left_out",
    ),
    "throttle_accepted": PutOff(faults=(once("accepted_429", retry_after=30),), error=Throttled),
    "expired_url: signed anew": Synced(
        faults=(once("urls", expired=True),), calls=exports(get_export=1, download=1)
    ),
    "expired_url: not signed anew": FirstFailed(
        faults=(once("urls", expired=True), rule("urls", same=True)),
        strikes=(1, 3),
        calls=exports(get_export=-1, download=-1),
        error=UrlExpired,
        says="AccessDenied: Request has expired",
    ),
    "truncated_gzip": FirstFailed(
        faults=(once("file", keep=0.5),), error=BrokenPartError, says="damaged gzip"
    ),
    "redirect": FirstFailed(
        faults=(once("file", redirect=""),), error=AdsApiError, says="got: http://127.0.0.2"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Listed(SyncCase):
    """The accounts of all regions are stored."""

    calls: Mapping[str, int] = field(default_factory=listings)
    told: tuple[str, ...] = ("accounts-synced",)


@dataclass(frozen=True, kw_only=True)
class NothingListed(SyncCase):
    """No region answers: what is stored stays."""

    told: tuple[str, ...] = ("account-sync-failed",)


ONE_REGION_TOLD = ("region-not-listed", "accounts-synced")

ACCOUNT_CASES: dict[str, SyncCase] = {
    "unknown_field in every answer": Listed(faults=(rule("answer", add=NEW_FIELD),), strikes=(10,)),
    "throttle: accounts": Listed(
        faults=(once("answer", "list_accounts", status=429, retry_after=30),),
        calls=listings(list_profiles=-2),
        told=ONE_REGION_TOLD,
        unlisted="^throttled: .*list the accounts.*Too Many Requests",
    ),
    "server_error: accounts": Listed(
        faults=(once("answer", "list_accounts", status=500),),
        calls=listings(list_accounts=1),
        seconds=1,
    ),
    "server_error: accounts of one region, always": Listed(
        faults=(rule("answer", "list_accounts", times=3, status=500),),
        strikes=(3,),
        calls=listings(list_accounts=2, list_profiles=-2),
        seconds=3,
        told=ONE_REGION_TOLD,
        unlisted="^amazon-unavailable: .*An internal error has occurred",
    ),
    "server_error: always": NothingListed(
        faults=(rule("answer", "list_accounts", status=500),),
        strikes=(7,),
        calls={"token": 1, "list_accounts": 7},
        seconds=5,
        error=Unavailable,
        says="An internal error has occurred.*Could not list the accounts",
    ),
    "token_expiry": Listed(
        faults=(once("token", "list_profiles"),), calls=listings(list_profiles=1, token=1)
    ),
    "forbidden: one region": Listed(
        faults=(once("answer", "list_profiles", status=403),),
        calls=listings(list_profiles=-1),
        told=ONE_REGION_TOLD,
        unlisted="^account-refused: .*Profile has no rights",
    ),
    "invalid_grant": NothingListed(
        faults=(rule("token", what="revoked"),),
        calls={"token": 1},
        told=("account-sync-failed", "credentials-refused"),
        error=CredentialRefused,
        says="revoked",
        person="^token-revoked: ",
    ),
}
