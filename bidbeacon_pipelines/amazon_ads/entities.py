"""Exports a profile's campaigns, ad groups, ads and targets, and lists its portfolios."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import AliasPath, Field, SecretStr, model_validator

from bidbeacon_pipelines.amazon_ads import wire
from bidbeacon_pipelines.amazon_ads.client import AdsApiClient, AdsRequest, Owner
from bidbeacon_pipelines.amazon_ads.errors import MalformedAnswer
from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass

ExportKind = Literal["campaigns", "adGroups", "ads", "targets"]

# Archived entities come on request only, and rows of old days refer to them. For targets, leaving
# the filters out would mean all.
_FILTER = {
    "adProductFilter": ["SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"],
    "stateFilter": ["ENABLED", "PAUSED", "ARCHIVED"],
}


class ExportStatus(StrEnum):
    """The status of an export; an unknown word counts as `PROCESSING`."""

    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


_STATUS = wire.one_of("IN_PROGRESS", *ExportStatus)
_ERROR_CODE = wire.one_of("INTERNAL_ERROR", "TIMED_OUT")


class Export(wire.WireModel):
    """An export as Amazon describes it; each retrieval within a day returns a fresh URL."""

    export_id: wire.Id
    raw_status: Annotated[wire.Text, _STATUS] = Field(validation_alias="status", min_length=1)
    url: SecretStr | None = None
    size_bytes: wire.Size = Field(None, validation_alias="fileSize")
    error_code: wire.Lenient[Annotated[wire.Text, _ERROR_CODE]] = Field(
        None, validation_alias=AliasPath("error", "errorCode")
    )
    error_message: wire.Lenient[wire.Text] = Field(
        None, validation_alias=AliasPath("error", "message")
    )

    @model_validator(mode="after")
    def _has_file(self) -> Self:
        if self.status is ExportStatus.COMPLETED and not self.url:
            raise ValueError("expected a completed export to have a url")
        return self

    @property
    def status(self) -> ExportStatus:
        """The export's status."""
        word = self.raw_status.strip().upper()
        return ExportStatus.__members__.get(word, ExportStatus.PROCESSING)

    @property
    def is_terminal(self) -> bool:
        """Whether the export's status is final."""
        return self.status is not ExportStatus.PROCESSING


class _Portfolios(wire.WireModel):
    portfolios: tuple[wire.Unread, ...] = ()
    next_token: str | None = None


def create_export(client: AdsApiClient, owner: Owner, kind: ExportKind) -> Export:
    """Start an export of all entities of one kind; Amazon runs at most five at a time.

    The request is retried even if Amazon may have accepted it: a duplicate only counts as one of
    the five.

    Raises:
        NotAuthorized: The user has no rights in this profile, or it belongs to another region.
    """
    request = AdsRequest(
        name="create_export",
        operation=f"start an export of {kind}",
        method="POST",
        owner=owner,
        path=f"/{kind}/export",
        call_class=CallClass.EXPORTS,
        json=_FILTER,
        headers=_media_type(f"{kind.lower()}export.v1"),
    )
    return client.call_model(request, Export)


def get_export(client: AdsApiClient, owner: Owner, kind: ExportKind, export_id: str) -> Export:
    """Return an export with its status.

    `kind` must be the kind of this export; otherwise Amazon answers 406.

    Raises:
        NotFound: Amazon doesn't know this export, or no longer knows it.
    """
    request = AdsRequest(
        name="get_export",
        operation=f"check an export of {kind}",
        owner=owner,
        path=f"/exports/{quote(export_id, safe='')}",
        call_class=CallClass.EXPORTS,
        headers=_media_type(f"{kind.lower()}export.v1"),
    )
    export = client.call_model(request, Export)
    if export.export_id != export_id:
        reason = f"expected an answer about export {export_id}, got: {export.export_id}"
        raise MalformedAnswer(reason, operation=request.operation)
    return export


def list_portfolios(client: AdsApiClient, owner: Owner) -> list[Any]:
    """Return a profile's portfolios in all states, as JSON objects with `Decimal` numbers.

    Raises:
        NotAuthorized: The user has no rights in this profile, or it belongs to another region.
    """
    request = AdsRequest(
        name="list_portfolios",
        operation="list portfolios",
        method="POST",
        owner=owner,
        path="/portfolios/list",
        json={},
        headers=_media_type("spPortfolio.v3"),
    )
    return [one for page in client.call_pages(request, _Portfolios) for one in page.portfolios]


def _media_type(resource: str) -> dict[str, str]:
    return dict.fromkeys(("Accept", "Content-Type"), f"application/vnd.{resource}+json")
