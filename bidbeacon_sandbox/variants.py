"""Contract variants: small deviations from the contract, each of which `bidbeacon probe` has to notice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Variant = Literal[
    "row_field_renamed",
    "row_field_extra",
    "row_field_missing",
    "row_country_uk",
    "row_country_lower_case",
    "row_product_as_filtered",
    "row_hour_as_clock",
    "row_ids_as_floats",
    "entity_ids_as_numbers",
    "entity_field_extra",
    "account_field_missing",
    "profile_country_gb",
    "profile_field_renamed",
    "newer_profile_ids_as_numbers",
    "newer_account_missing",
    "other_code",
    "no_request_id",
    "filter_without_not_accepted",
    "unknown_field_accepted",
    "companionless_accepted",
]
_READER = msgspec.json.Decoder(float_hook=Decimal)
_WRITER = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class _Change:
    """The change of a field, wherever it stands.

    Attributes:
        place: `rows` of reports, `entities` of exports, or the operation whose answers it is in.
        keys: The names under which the value comes instead; none: it is missing.
    """

    place: str
    name: str
    keys: tuple[str, ...]
    value: Callable[[Any], Any] = lambda value: value

    def __call__(self, body: Any) -> Any:
        """Return a body with the change made."""
        if isinstance(body, list):
            return [self(item) for item in body]
        if not isinstance(body, dict):
            return body
        changed: dict[str, Any] = {}
        for key, item in body.items():
            if key == self.name:
                changed |= dict.fromkeys(self.keys, self.value(item))
            else:
                changed[key] = self(item)
        return changed


def _value(place: str, name: str, change: Callable[[Any], Any]) -> _Change:
    return _Change(place, name, (name,), change)


def _words(place: str, name: str, words: dict[str, str]) -> _Change:
    return _value(
        place, name, lambda word: words.get(word, word) if isinstance(word, str) else word
    )


_CHANGES: dict[Variant, _Change] = {
    "row_field_renamed": _Change("rows", "metric.clicks", ("metric.clickCount",)),
    "row_field_extra": _Change("rows", "metric.clicks", ("metric.clicks", "metric.surprise")),
    "row_field_missing": _Change("rows", "metric.totalCost", ()),
    "row_country_uk": _words("rows", "campaign.country", {"GB": "UK"}),
    "row_country_lower_case": _value("rows", "campaign.country", str.lower),
    "row_product_as_filtered": _words(
        "rows", "adProduct.value", {"Sponsored Products": "SPONSORED_PRODUCTS"}
    ),
    "row_hour_as_clock": _value("rows", "hour.value", lambda hour: f"{hour} o'clock"),
    "row_ids_as_floats": _value("rows", "campaign.id", float),
    "entity_ids_as_numbers": _value("entities", "campaignId", int),
    "entity_field_extra": _Change("entities", "state", ("state", "surprise")),
    "account_field_missing": _Change("list_accounts", "accountName", ()),
    "profile_country_gb": _words("list_profiles", "countryCode", {"UK": "GB"}),
    "profile_field_renamed": _Change("list_profiles", "timezone", ("timeZone",)),
    "newer_profile_ids_as_numbers": _value("query_accounts", "profileId", int),
    "newer_account_missing": _value(
        "query_accounts", "advertiserAccounts", lambda accounts: accounts[1:]
    ),
    "other_code": _words("create_report", "code", {"400005": "400999"}),
}


def vary(body: Any, variants: Sequence[Variant], place: str) -> Any:
    """Return the body of an answer as the variants of its operation have it."""
    for change in _changes(variants, place):
        body = change(body)
    return body


def varied(response: Response, variants: Sequence[Variant], operation: str) -> Response:
    """Return an answer as the variants of its operation have it; one that isn't JSON stays as it is."""
    if not _changes(variants, operation) or response.media_type != "application/json":
        return response
    body = vary(_READER.decode(bytes(response.body)), variants, operation)
    return Response(_WRITER.encode(body), response.status_code, media_type=response.media_type)


def vary_rows(rows: Iterator[str], variants: Sequence[Variant], place: str) -> Iterator[str]:
    """Return a file's rows, JSON texts, as the variants have them."""
    if not _changes(variants, place):
        return rows
    return (_WRITER.encode(vary(_READER.decode(row), variants, place)).decode() for row in rows)


def vary_create(body: Any, variants: Sequence[Variant]) -> Any:
    """Return the body of a create call as a sandbox reads it that accepts what Amazon refuses."""
    try:
        query = body["reports"][0]["query"]
        condition, fields = query["filter"]["on"], query["fields"]
    except (KeyError, IndexError, TypeError):
        return body
    if "filter_without_not_accepted" in variants:
        condition.setdefault("not", False)
    if "unknown_field_accepted" in variants:
        fields = [field for field in fields if field != "metric.unheardOf"]
    if "companionless_accepted" in variants:
        fields = list(dict.fromkeys([*fields, "budgetCurrency.value"]))
    query["fields"] = fields
    return body


def _changes(variants: Sequence[Variant], place: str) -> list[_Change]:
    return [
        _CHANGES[variant]
        for variant in variants
        if variant in _CHANGES and _CHANGES[variant].place == place
    ]


class WithoutRequestIds:
    """Takes Amazon's request id from every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on, and its answer back without the header."""

        async def send_without(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    header for header in message["headers"] if header[0] != b"x-amz-rid"
                ]
            await send(message)

        await self._app(scope, receive, send_without)
