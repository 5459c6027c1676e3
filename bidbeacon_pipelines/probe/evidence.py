"""The evidence of a probe: its exchanges, and how they are read. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from bidbeacon_pipelines.amazon_ads.errors import AdsApiError, Throttled
from bidbeacon_pipelines.amazon_ads.failures import error_for, partial_error
from bidbeacon_pipelines.probe.expectations import CREATE_PATH, FIELD_VARIANTS, RETRIEVE_PATH
from bidbeacon_pipelines.recordings import Exchange


@dataclass(frozen=True)
class Evidence:
    """All that a probe has seen.

    Attributes:
        exchanges: In their order; redacted or not.
        gaps: Why a step did not come to its end, by step.
        unreached: Why the steps that are not among the exchanges were not taken.
    """

    exchanges: Sequence[Exchange]
    gaps: Mapping[str, str]
    unreached: str = "not asked"

    @property
    def answers(self) -> list[Exchange]:
        """The answers of the API; downloads are none."""
        return [exchange for exchange in self.exchanges if not exchange.is_file]

    @property
    def files(self) -> list[Exchange]:
        """The files that came whole."""
        return [exchange for exchange in self.exchanges if exchange.sizes is not None]

    def creates(self, step: str) -> list[Exchange]:
        """Return the answers to creating a step's report."""
        return [
            exchange
            for exchange in self.exchanges
            if exchange.step == step and exchange.endpoint == CREATE_PATH
        ]

    def bodies(self, endpoint: str) -> list[Any]:
        """Return what an endpoint answered with success."""
        return [
            exchange.body
            for exchange in self.exchanges
            if exchange.endpoint == endpoint and exchange.is_success
        ]

    def rows(self, step: str) -> list[Any]:
        """Return the rows of a step's files, under our names of their fields."""
        files = (file for file in self.files if file.step == step and isinstance(file.body, list))
        return [with_our_names(row) for file in files for row in file.body]

    def gap(self, step: str) -> str:
        """Return why a step can't be judged."""
        return self.gaps.get(step, self.unreached)

    def accounts(self) -> list[dict[str, Any]]:
        """Return the listed accounts, from either shape of their pages."""
        pages = self.bodies("/adsAccounts/list")
        found = [item for page in pages for item in items(page, "adsAccounts") or items(page)]
        return [
            item["adsAccount"] if isinstance(item.get("adsAccount"), dict) else item
            for item in found
        ]


def with_our_names(row: Any) -> Any:
    """Return a row with our names of the fields that have another one."""
    if not isinstance(row, dict):
        return row
    ours = {other: name for name, other in FIELD_VARIANTS.items() if name not in row}
    return {ours.get(name, name): value for name, value in row.items()}


def get(value: Any, *path: str) -> Any:
    """Return what lies below an object under these names; None where there is nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def items(value: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects of the array below these names; none where there is no array."""
    found = get(value, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def error_of(exchange: Exchange) -> AdsApiError | None:
    """Return the error that the client makes of an answer; None for a success."""
    text = exchange.text or json.dumps(exchange.body, default=str)
    response = httpx.Response(exchange.status, headers=dict(exchange.headers), text=text)
    if exchange.endpoint in {CREATE_PATH, RETRIEVE_PATH} and get(exchange.body, "error"):
        return partial_error(response, exchange.body)
    return None if exchange.is_success else error_for(response)


def is_accepted(exchange: Exchange) -> bool:
    """Return whether an exchange created a report."""
    return exchange.endpoint == CREATE_PATH and error_of(exchange) is None


def is_refused(exchange: Exchange) -> bool:
    """Return whether Amazon refused a request for what it says, be it as a 4xx or inside a 207."""
    error = error_of(exchange)
    return error is not None and not error.transient


def reason_of(exchange: Exchange) -> str:
    """Return what came instead of a success."""
    error = error_of(exchange)
    if isinstance(error, Throttled):
        return "Amazon throttled it (429)"
    return f"refused ({exchange.status}, {error.code if error and error.code else 'no code'})"


def asked_account(exchange: Exchange) -> str:
    """Return the id of the account that a create asked for."""
    asked = items(exchange.request, "accessRequestedAccounts")
    return str(get(asked[0], "advertiserAccountId")) if asked else ""


def asked_fields(exchange: Exchange) -> list[str]:
    """Return the fields that a create asked for."""
    reports = items(exchange.request, "reports")
    return list(get(reports[0], "query", "fields") or ()) if reports else []
