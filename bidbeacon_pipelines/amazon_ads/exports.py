"""Exports of a profile's campaigns, ad groups, ads and targets: start one, and get its status."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from urllib.parse import quote

from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads.client import AdsApiClient
from bidbeacon_pipelines.amazon_ads.models import WireExport, read_as
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass
from bidbeacon_pipelines.amazon_ads.transport import Answer, ApiCall, malformed
from bidbeacon_pipelines.settings import Region

ExportKind = Literal["campaigns", "adGroups", "ads", "targets"]

# Archived entities come only when they are asked for, and rows of old days refer to them. Left out,
# the filters of targets take all.
_FILTER = {
    "adProductFilter": ["SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"],
    "stateFilter": ["ENABLED", "PAUSED", "ARCHIVED"],
}


class ExportStatus(StrEnum):
    """The status of an export; an unknown word counts as `PROCESSING`."""

    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Export:
    """An export as Amazon describes it; instants are UTC.

    Attributes:
        url: Presigned, so a secret; valid for an hour. Each retrieval within a day returns a fresh
            one.
        size_bytes: Size of the file as it is transferred, gzipped.
        error_code: `INTERNAL_ERROR` or `TIMED_OUT`, where it failed.
    """

    export_id: str
    kind: ExportKind
    status: ExportStatus
    raw_status: str
    url: SecretStr | None = None
    size_bytes: int | None = None
    expires_at: datetime | None = None
    created_at: datetime | None = None
    generated_at: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether its status is final."""
        return self.status is not ExportStatus.PROCESSING


def create_export(
    client: AdsApiClient,
    region: Region,
    profile_id: str,
    kind: ExportKind,
    *,
    account_id: str | None = None,
    country_code: str | None = None,
) -> Export:
    """Start an export of everything of one kind, of all ad products and states; at most five run at once.

    Args:
        client: The session.
        region: Where the profile lives.
        profile_id: Whose things are exported.
        kind: What is exported.
        account_id: The profile's account; without it, a 429 pauses all exports of the region.
        country_code: The profile's country, for the ledger.

    Raises:
        OutcomeUnknown: Amazon may have accepted it. A second one only takes one of the five slots.
        NotAuthorized: The user has no rights in this profile, or it belongs to another region.
    """
    call = ApiCall(
        name="create_export",
        operation=f"start an export of {kind}",
        method="POST",
        region=region,
        path=f"/{kind}/export",
        call_class=CallClass.EXPORTS,
        json=_FILTER,
        headers=_headers(profile_id, kind) | {"Content-Type": _media_type(kind)},
        account_id=account_id,
        country_code=country_code,
        about=_about(profile_id, account_id, country_code),
        creates=True,
    )
    return client.call(call, lambda answer: _read_export(answer, kind))


def get_export(
    client: AdsApiClient,
    region: Region,
    profile_id: str,
    kind: ExportKind,
    export_id: str,
    *,
    account_id: str | None = None,
    country_code: str | None = None,
) -> Export:
    """Return an export's status; `kind` has to be the one it was started with, or Amazon answers 406.

    Raises:
        NotFound: Amazon doesn't know this export, or no longer.
    """
    call = ApiCall(
        name="get_export",
        operation=f"look at an export of {kind}",
        method="GET",
        region=region,
        path=f"/exports/{quote(export_id, safe='')}",
        call_class=CallClass.EXPORTS,
        headers=_headers(profile_id, kind),
        account_id=account_id,
        country_code=country_code,
        about=f"export {export_id}, {_about(profile_id, account_id, country_code)}",
    )

    def read(answer: Answer) -> Export:
        export = _read_export(answer, kind)
        if export.export_id != export_id:
            raise malformed(
                answer, f"the answer was to be about export {export_id}, got: {export.export_id}"
            )
        return export

    return client.call(call, read)


def _about(profile_id: str, account_id: str | None, country_code: str | None) -> str:
    account = f" of account {account_id}" if account_id else ""
    return f"profile {profile_id}{account}" + (f" in {country_code}" if country_code else "")


def _media_type(kind: ExportKind) -> str:
    return f"application/vnd.{kind.lower()}export.v1+json"


def _headers(profile_id: str, kind: ExportKind) -> dict[str, str]:
    return {"Accept": _media_type(kind), "Amazon-Advertising-API-Scope": profile_id}


def _read_export(answer: Answer, kind: ExportKind) -> Export:
    """Read an export; a completed one must have a file."""
    wire = read_as(WireExport, answer)
    status = ExportStatus.__members__.get(wire.status.strip().upper(), ExportStatus.PROCESSING)
    if status is ExportStatus.COMPLETED and not wire.url:
        raise malformed(answer, "a completed export was to have a url, got: none")
    return Export(
        export_id=wire.export_id,
        kind=kind,
        status=status,
        raw_status=wire.status,
        url=wire.url,
        size_bytes=wire.file_size,
        expires_at=wire.url_expires_at,
        created_at=wire.created_at,
        generated_at=wire.generated_at,
        error_code=wire.error.error_code if wire.error else None,
        error_message=wire.error.message if wire.error else None,
    )
