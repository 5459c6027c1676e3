"""Causes of failures as data: a code with parameters, stored where it is known, and explained here alone.

A cause is a JSON object: `{"code": "field-refused", "field": "clicks", "detail": {"amazon": "…"}}`.
Code and parameters make causes equal. What differs from one occurrence to the next (counts, ids,
days, Amazon's own words) stands in `detail`, so SQL groups by `cause - 'detail'`.

Sentences and advice are templates of `str.format`. A part in brackets is left out where a value in
it is missing: a cause may be explained without its detail.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from bidbeacon_sessions.sentences import without_stop

Cause = Mapping[str, Any]
Action = Literal["load", "resume", "sync-accounts", "sync-entities"]
"""What a button beside the cause does."""

_OPTIONAL: Final = re.compile(r"\[([^\[\]]*)\]")


class Severity(StrEnum):
    """How serious something is."""

    FINE = "fine"
    """Nothing to do, nothing to wait for."""
    WAITING = "waiting"
    """It goes on by itself, in the usual time."""
    WARNING = "warning"
    """It goes on by itself, but something was not as usual."""
    ERROR = "error"
    """It stays as it is for days, or until a person acts."""


@dataclass(frozen=True)
class Kind:
    """A row of the table of codes.

    Attributes:
        code: Stored, and never renamed.
        sentence: What went wrong, as a template.
        advice: What helps, as a template; empty where nothing is to be done.
        severity: How serious it is.
        action: What a button beside it does, if anything.
        link: The page that shows more, from the root of the address.
        recovers_by_itself: Whether it is tried again without a person.
        parameters: The names of the parameters that make causes of this code differ.
    """

    code: str
    sentence: str
    advice: str = ""
    severity: Severity = Severity.ERROR
    action: Action | None = None
    link: str | None = None
    recovers_by_itself: bool = False
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explained:
    """A cause for people; `sentence` and `advice` end with a full stop, `advice` may be empty."""

    code: str
    severity: Severity
    sentence: str
    advice: str
    action: Action | None
    link: str | None


_AGAIN = {"severity": Severity.WARNING, "recovers_by_itself": True}
_LOAD: Final = "load"

_TABLE = (
    # Credentials and accounts
    Kind(
        "token-revoked",
        "Amazon refused our refresh token[: {amazon}].",
        "Authorise BidBeacon again, set BIDBEACON_ADS_API_REFRESH_TOKEN to the new token, then run `bidbeacon accounts sync`.",
        action="sync-accounts",
    ),
    Kind(
        "client-refused",
        "Amazon refused our client id and client secret[: {amazon}].",
        "Check BIDBEACON_ADS_API_CLIENT_ID and BIDBEACON_ADS_API_CLIENT_SECRET, then run `bidbeacon accounts sync`.",
        action="sync-accounts",
    ),
    Kind(
        "credentials-refused",
        "Amazon refused our credentials[: {amazon}].",
        "Check the BIDBEACON_ADS_API_… settings, then run `bidbeacon accounts sync`.",
        action="sync-accounts",
    ),
    Kind(
        "account-refused",
        "Amazon refused the account[: {amazon}].",
        "Check that the authorising user may see this account, and that it belongs to this region. Then run `bidbeacon accounts resume[ {account}]`.",
        action="resume",
    ),
    Kind(
        "reporting-not-allowed",
        "Amazon lists the account and refuses its reports[: {amazon}].",
        "Grant the authorising user the right to view campaigns and edit reports, or the viewer role of its manager account. Then run `bidbeacon accounts resume[ {account}]`.",
        action="resume",
    ),
    Kind(
        "account-paused",
        "The account is paused[: {by}].",
        "To refresh it again, run `bidbeacon accounts resume[ {account}]`.",
        Severity.FINE,
        action="resume",
    ),
    Kind(
        "account-disabled",
        "Amazon has disabled the account.",
        "It is refreshed again when Amazon enables it.",
        Severity.FINE,
        recovers_by_itself=True,
    ),
    Kind(
        "no-profile",
        "Amazon names no profile for the account.",
        "Check in Amazon's console that the account has Sponsored ads.",
    ),
    # Answers of Amazon to any call
    Kind(
        "throttled",
        "Amazon throttled the request (429)[: {amazon}].",
        "It is repeated later. If this lasts, ask Amazon for higher limits by ticket.",
        **_AGAIN,
    ),
    Kind(
        "rate-limited",
        "Our own rate limits allow the request only later.",
        "It is sent then.",
        **_AGAIN,
    ),
    Kind(
        "amazon-unavailable",
        "Amazon answered with an error of its own[ (HTTP {status})][: {amazon}].",
        "It is tried again later.",
        **_AGAIN,
    ),
    Kind(
        "unreachable",
        "Amazon could not be reached[: {reason}].",
        "Check the network. It is tried again later.",
        **_AGAIN,
    ),
    Kind(
        "answer-unreadable",
        "Amazon's answer could not be read[: {reason}].",
        "If this lasts, the API has changed, or a proxy between us and Amazon answers.",
        **_AGAIN,
    ),
    Kind(
        "request-refused",
        "Amazon refused the request[: {amazon}].",
        "Repeating it does not help.",
    ),
    # Reports at Amazon
    Kind(
        "field-refused",
        "Amazon refused the field[ {field}][: {amazon}].",
        "If it has another name, run `bidbeacon probe --apply`.",
        parameters=("field",),
    ),
    Kind(
        "fields-refused-together",
        "Amazon refused these fields in one report[: {amazon}].",
        "[`{command}` requests these ad products in separate reports.]",
    ),
    Kind(
        "report-too-old",
        "Amazon refused the report as too old[: {amazon}].",
        "Amazon may no longer serve these days.",
    ),
    Kind(
        "report-too-large",
        "Amazon refused the report as too large[: {amazon}].",
        "Its days are requested in shorter reports.",
        **_AGAIN,
        action=_LOAD,
    ),
    Kind(
        "report-unknown",
        "Amazon does not know the report any more[: {amazon}].",
        "It is requested again.",
        **_AGAIN,
        action=_LOAD,
    ),
    Kind(
        "report-duplicate",
        "Amazon calls the report a duplicate of another one[: {amazon}].",
        "It is requested again later.",
        **_AGAIN,
    ),
    Kind(
        "report-failed",
        "Amazon reported {status}[ ({amazon})].",
        "Load the days again, or wait until they are due.",
        action=_LOAD,
        parameters=("status",),
    ),
    Kind(
        "report-stuck",
        "The report was still {status} after {hours} hours.",
        "Load the days again, or wait until they are due.",
        action=_LOAD,
        parameters=("status", "hours"),
    ),
    Kind(
        "report-unanswered",
        "No response to the last request for the report arrived.",
        "Load the days again, or wait until they are due.",
        action=_LOAD,
    ),
    # Files
    Kind(
        "download-refused",
        "The file was not downloaded, since it is not allowed[: {reason}].",
        "Check where the URL came from.",
    ),
    Kind(
        "download-expired",
        "No download URL of the report works[: {reason}].",
        "The report is requested again.",
        **_AGAIN,
        action=_LOAD,
    ),
    Kind(
        "file-missing",
        "A file of the report is missing at Amazon[: {reason}].",
        "The report is requested again.",
        **_AGAIN,
        action=_LOAD,
    ),
    Kind(
        "report-changed",
        "The report changed while it was downloaded[: {reason}].",
        "It is downloaded again.",
        **_AGAIN,
    ),
    Kind(
        "file-incomplete",
        "A file is incomplete or damaged[: {reason}].",
        "It is downloaded again.",
        **_AGAIN,
        action=_LOAD,
    ),
    Kind(
        "file-not-written",
        "A file could not be written[: {reason}].",
        "Free space on that disk, or check its permissions.",
        recovers_by_itself=True,
    ),
    Kind(
        "rows-refused-by-database",
        "The database refused the report's rows[: {reason}].",
        "Please report it: this is an error of BidBeacon.",
    ),
    # Rows
    Kind(
        "rows-invalid",
        "[{bad:,} of {rows:,} ]rows[ ({share:.1%})] failed validation[ ({faults})].",
        "The rows are in quarantine: `bidbeacon quarantine list` shows them.",
        action=_LOAD,
    ),
    Kind(
        "rows-undated",
        "[{bad:,} of {rows:,} ]rows[ ({share:.1%})] of the report had no readable date or country[ ({faults})].",
        "The rows are in quarantine: `bidbeacon quarantine list` shows them.",
        action=_LOAD,
    ),
    Kind(
        "rows-lost",
        "The report lost nearly all rows[ of {ad_products}][: {new_rows:,} where {old_rows:,} were].",
        "The old rows are kept. A second report is requested, and decides.",
        **_AGAIN,
        parameters=("ad_products",),
    ),
    Kind(
        "rows-missing",
        "The report has no rows of the country, though it has deliverable campaigns.",
        "A second report is requested, and decides.",
        **_AGAIN,
    ),
    Kind("field-missing", "The field {field} is missing[ (also {others})].", parameters=("field",)),
    Kind(
        "field-invalid",
        "The field {field} was to be {expected}[, got: {got}][ (also {others})].",
        parameters=("field", "expected"),
    ),
    Kind("row-unreadable", "The row was to be a JSON object[, got: {got}]."),
    # Windows and loads by hand
    Kind(
        "overdue",
        "The day is overdue, and no report has been requested.",
        "Check that Dagster's daemon is running.",
        action=_LOAD,
    ),
    Kind(
        "late-at-amazon",
        "Amazon takes far longer than usual to create the report.",
        "It is requested again if it is not complete after 24 hours.",
        **_AGAIN,
    ),
    Kind("expired", "The day was never loaded while Amazon served it."),
    Kind(
        "day-not-served",
        "Amazon no longer serves this day[; the oldest that it serves is {oldest}].",
    ),
    Kind(
        "still-at-amazon",
        "Amazon is not done yet.",
        "The scheduled refresh continues with it.",
        Severity.WAITING,
        recovers_by_itself=True,
    ),
    Kind(
        "no-slot-yet",
        "The report was not requested, since other reports took all the time.",
        "Try again later.",
        Severity.WAITING,
        action=_LOAD,
    ),
    Kind(
        "windows-not-loaded",
        "[{windows:,} ]windows[ of {dataset}] were not loaded[: {reasons}].",
        action=_LOAD,
        parameters=("causes",),
    ),
    # Entities and accounts
    Kind(
        "export-failed",
        "The export of {kind} failed[: {amazon}].",
        "The next sync requests it again.",
        Severity.ERROR,
        "sync-entities",
        recovers_by_itself=True,
        parameters=("kind",),
    ),
    Kind(
        "export-not-ready",
        "The export of {kind} is not ready yet.",
        "The next sync continues with it.",
        Severity.WAITING,
        recovers_by_itself=True,
        parameters=("kind",),
    ),
    # Findings
    Kind(
        "region-not-listed",
        "The accounts of region {region} can't be listed[: {reason}].",
        "Its accounts go on, but new ones and changes at Amazon are not seen. It is tried again each hour.",
        **_AGAIN,
        action="sync-accounts",
        parameters=("region",),
    ),
    Kind(
        "country-silent",
        "Two reports in a row have no rows of a country that has deliverable campaigns.",
        "These days count as days without traffic. Check in Amazon's console whether that is true.",
        Severity.WARNING,
    ),
    Kind(
        "nothing-happens",
        "Nothing happens: no job has run[ for {time}].",
        "Check that Dagster is running: `make dev` or `bidbeacon dev` starts everything.",
        link="/#checks",
    ),
    Kind(
        "work-not-done",
        "Work that {job} had queued for later was not done in time.",
        "The session says what it was, and which windows it concerns.",
        parameters=("job",),
    ),
    Kind(
        "process-killed",
        "The process was killed, or its host is gone.",
        "The next run takes up its work.",
        recovers_by_itself=True,
    ),
    Kind(
        "unexpected-error",
        "An unexpected error occurred[: {message}].",
        "Please report it with the session's traceback.",
        parameters=("type",),
    ),
    Kind("other", "[{reason}.]"),
)

KINDS: Final[Mapping[str, Kind]] = {kind.code: kind for kind in _TABLE}
"""The table of codes."""


def cause(
    code: str, *, detail: Mapping[str, Any] | None = None, **parameters: Any
) -> dict[str, Any]:
    """Return a cause as it is stored; parameters and details that are None are left out.

    Raises:
        ValueError: the table has no such code, or the code no such parameter.
    """
    kind = KINDS.get(code)
    if kind is None:
        raise ValueError(f"expected a code of causes.KINDS, got: {code}")
    if unknown := parameters.keys() - set(kind.parameters):
        raise ValueError(f"expected parameters {kind.parameters} of {code}, got: {sorted(unknown)}")
    said = _without_none(detail or {})
    return {"code": code, **_without_none(parameters), **({"detail": said} if said else {})}


def explain(cause: Cause) -> Explained:
    """Return a cause for people; never raise, whatever is stored."""
    kind = KINDS.get(str(cause.get("code")))
    if kind is None:
        return _unknown(str(cause.get("code")))
    detail = cause.get("detail")
    values = {**(detail if isinstance(detail, Mapping) else {}), **cause}
    try:
        sentence, advice = _filled(kind.sentence, values), _filled(kind.advice, values)
    except (KeyError, TypeError, ValueError):
        return _unknown(kind.code)
    return Explained(kind.code, kind.severity, sentence, advice, kind.action, kind.link)


def _unknown(code: str) -> Explained:
    sentence = f"The cause is {code}, which this version of BidBeacon can't explain."
    return Explained(code, Severity.ERROR, sentence, "", None, None)


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _filled(template: str, values: Mapping[str, Any]) -> str:
    return "".join(_segments(template, {name: _shown(value) for name, value in values.items()}))


def _segments(template: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of a template, filled; those in brackets only where all of their values are known."""
    for place, part in enumerate(_OPTIONAL.split(template)):
        try:
            yield part.format_map(values)
        except KeyError:
            if place % 2 == 0:
                raise


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return without_stop(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else value
