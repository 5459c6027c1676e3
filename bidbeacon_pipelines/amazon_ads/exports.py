"""Exports of a profile's campaigns, ad groups, ads and targets: create and poll."""

from dataclasses import replace
from enum import StrEnum
from typing import Literal, Self
from urllib.parse import quote

import httpx
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


class Export(wire.WireModel):
    """An export as Amazon describes it; each retrieval within a day returns a fresh URL."""

    export_id: wire.Id
    raw_status: wire.Text = Field(validation_alias="status", min_length=1)
    url: SecretStr | None = None
    size_bytes: wire.Size = Field(None, validation_alias="fileSize")
    error_code: wire.Lenient[wire.Text] = Field(
        None, validation_alias=AliasPath("error", "errorCode")
    )
    error_message: wire.Lenient[wire.Text] = Field(
        None, validation_alias=AliasPath("error", "message")
    )

    @model_validator(mode="after")
    def _has_file(self) -> Self:
        if self.status is ExportStatus.COMPLETED and not self.url:
            raise ValueError("a completed export was to have a url")
        return self

    @property
    def status(self) -> ExportStatus:
        """Its status."""
        word = self.raw_status.strip().upper()
        return ExportStatus.__members__.get(word, ExportStatus.PROCESSING)

    @property
    def is_terminal(self) -> bool:
        """Whether its status is final."""
        return self.status is not ExportStatus.PROCESSING


def create_export(client: AdsApiClient, owner: Owner, kind: ExportKind) -> Export:
    """Start an export of all entities of one kind; at most five run at once.

    It is retried as reads are: a duplicate only takes one of the five places.

    Raises:
        NotAuthorized: The user has no rights in this profile, or it belongs to another region.
    """
    request = _request(owner, kind, "create_export", f"start an export of {kind}")
    request = replace(request, method="POST", path=f"/{kind}/export", json=_FILTER)
    return client.call(request, _read_export)


def get_export(client: AdsApiClient, owner: Owner, kind: ExportKind, export_id: str) -> Export:
    """Return an export's status; `kind` must be its own, or Amazon answers 406.

    Raises:
        NotFound: Amazon doesn't know this export, or no longer.
    """
    request = _request(owner, kind, "get_export", f"check an export of {kind}")
    request = replace(request, path=f"/exports/{quote(export_id, safe='')}")
    export = client.call(request, _read_export)
    if export.export_id != export_id:
        reason = f"the answer was to be about export {export_id}, got: {export.export_id}"
        raise MalformedAnswer(reason, operation=request.operation)
    return export


def _request(owner: Owner, kind: ExportKind, name: str, operation: str) -> AdsRequest:
    media_type = f"application/vnd.{kind.lower()}export.v1+json"
    return AdsRequest(
        name=name,
        operation=operation,
        owner=owner,
        call_class=CallClass.EXPORTS,
        headers={"Accept": media_type, "Content-Type": media_type},
    )


def _read_export(response: httpx.Response) -> Export:
    return wire.read_as(Export, wire.read_json(response))
