"""Compare exchanges with the contract; pure, so that a recording gives the same findings as Amazon did."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bidbeacon_pipelines.amazon_ads.countries import normalise_country
from bidbeacon_pipelines.amazon_ads.errors import NotAuthorized
from bidbeacon_pipelines.datasets.fields import AD_PRODUCTS
from bidbeacon_pipelines.probe import expectations as contract
from bidbeacon_pipelines.probe.evidence import (
    Evidence,
    asked_account,
    asked_fields,
    error_of,
    get,
    is_accepted,
    is_refused,
    items,
    reason_of,
    with_our_names,
)
from bidbeacon_pipelines.probe.expectations import Call, Refusal, ReportCheck
from bidbeacon_pipelines.probe.leaves import Leaf, kind_of
from bidbeacon_pipelines.probe.shapes import ENTITIES, Shape, fitting
from bidbeacon_pipelines.recordings import Exchange

_TOO_MANY = 429
_SHOWN = 5


class Verdict(StrEnum):
    """The result of one check."""

    EXPECTED = "as expected"
    DIFFERS = "differs"
    UNCHECKED = "could not be checked"


@dataclass(frozen=True)
class Finding:
    """One line of the table: what was checked, what came of it, and what to do."""

    subject: str
    check: str
    verdict: Verdict
    found: str = ""
    to_do: str = ""


def compare(evidence: Evidence) -> list[Finding]:
    """Return one finding a check, in the order of the table."""
    reports = contract.report_checks()
    return [
        *(finding for call in contract.CALLS for finding in _of_call(evidence, call)),
        *_of_accounts(evidence),
        *(
            finding
            for kind in contract.EXPORT_KINDS
            for finding in _of_rows(evidence, kind, ENTITIES[kind])
        ),
        *(finding for check in reports for finding in _of_report(evidence, check)),
        _field_names(evidence, reports),
        _countries(evidence, reports),
        *(_of_refusal(evidence, refusal) for refusal in contract.REFUSALS),
        *_of_headers(evidence),
        *_of_times(evidence),
        _file_sizes(evidence),
    ]


def one_of_each_form(rows: Sequence[Any], shape: Shape) -> list[Any]:
    """Return the first row of each form: those of the same form are judged alike."""
    kept: dict[tuple[object, ...], Any] = {}
    for row in rows:
        ours = with_our_names(row)
        kinds = (
            tuple(f"{key} {kind_of(value)}" for key, value in ours.items())
            if isinstance(ours, dict)
            else ()
        )
        place = get(ours, "campaign.country"), get(ours, "adProduct.value")
        kept.setdefault((kinds, str(place), *_differences(ours, shape, "")), row)
    return list(kept.values())


def _judged(subject: str, check: str, differences: Iterable[str], found: str = "") -> Finding:
    """Return that something differs where there are differences, else that all is as expected."""
    unique = list(dict.fromkeys(differences))
    if not unique:
        return Finding(subject, check, Verdict.EXPECTED, found)
    return Finding(subject, check, Verdict.DIFFERS, _joined(unique, "; "), contract.advice(check))


def _joined(texts: Sequence[str], separator: str) -> str:
    """Join the first texts, and count the others."""
    more = [f"{len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return separator.join([*texts[:_SHOWN], *more])


def _unchecked(subject: str, check: str, reason: str) -> Finding:
    return Finding(subject, check, Verdict.UNCHECKED, reason)


def _of_call(evidence: Evidence, call: Call) -> Iterator[Finding]:
    """Compare the answers of one kind of call: status, fields, values; refusals on purpose are left out."""
    refusals = {refusal.name for refusal in contract.REFUSALS}
    answers = [
        answer for answer in evidence.answers if answer.step not in refusals and call.covers(answer)
    ]
    good = [answer for answer in answers if error_of(answer) is None]
    if not good:
        reason = next((reason_of(answer) for answer in reversed(answers)), evidence.gap(call.name))
        yield _unchecked(call.name, "status, fields, values", reason)
        return
    odd = [
        f"expected {call.status}, got: {answer.status}"
        for answer in good
        if answer.status != call.status
    ]
    yield _judged(
        call.name,
        "status",
        odd,
        "; ".join([f"HTTP {call.status}", *_silent_regions(answers, good)]),
    )
    yield from _of_bodies(call.name, call.shape, (answer.body for answer in good))


def _silent_regions(answers: Iterable[Exchange], good: Iterable[Exchange]) -> list[str]:
    """Return the regions without a success, with what came instead: an account need not be in all of them."""
    heard = {_region(answer) for answer in good}
    return list(
        {
            _region(answer): f"{_region(answer)} {reason_of(answer)}"
            for answer in answers
            if _region(answer) not in heard
        }.values()
    )


def _region(exchange: Exchange) -> str:
    return exchange.path.split("/")[1].upper()


def _of_bodies(subject: str, shape: Shape, bodies: Iterable[Any]) -> Iterator[Finding]:
    found: dict[tuple[str, str], set[str]] = {}
    for body in bodies:
        for check, place, came in _differences(body, shape, ""):
            found.setdefault((check, place), set()).add(came)
    for check in ("fields", "values"):
        texts = (
            place + _joined(sorted(came), ", ")
            for (of, place), came in found.items()
            if of == check
        )
        yield _judged(subject, check, sorted(texts))


def _differences(value: Any, shape: Shape, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield the check of each difference between a value and its shape, where it is, and what came."""
    shape = fitting(value, shape)
    place = path or "the body"
    if isinstance(shape, Leaf):
        if not shape.accepts(value):
            yield "values", f"{place}: expected {shape.expected}, got: ", shape.shown(value)
    elif isinstance(shape, list) and isinstance(value, list):
        for item in value:
            yield from _differences(item, shape[0], f"{path}[]" if path else "")
    elif isinstance(shape, dict) and isinstance(value, dict):
        yield from _differences_of_object(value, shape, path)
    else:
        expected = "a list" if isinstance(shape, list) else "an object"
        yield "fields", f"{place}: expected {expected}, got: ", kind_of(value)


def _differences_of_object(
    value: dict[str, Any], shape: dict[str, Shape], path: str
) -> Iterator[tuple[str, str, str]]:
    known = {key.rstrip("?"): inner for key, inner in shape.items()}
    for key, inner in value.items():
        place = f"{path}.{key}" if path else key
        if key in known:
            yield from _differences(inner, known[key], place)
        elif "*" in known:
            yield from _differences(inner, known["*"], f"{path}.*")
        else:
            yield "fields", "unknown: ", place
    for key in shape:
        if key != "*" and not key.endswith("?") and key not in value:
            yield "fields", "missing: ", f"{path}.{key}" if path else key


def _of_accounts(evidence: Evidence) -> Iterator[Finding]:
    accounts = evidence.accounts()
    profiles = {
        str(alternate["profileId"])
        for account in accounts
        for alternate in items(account, "alternateIds")
        if "profileId" in alternate
    }
    listed = {
        str(profile.get("profileId"))
        for body in evidence.bodies("/v2/profiles")
        for profile in items(body)
    }
    yield _all_listed("profiles", "every profile of the accounts", profiles, listed)
    newer = evidence.bodies(contract.QUERY_PATH)
    listed = {
        str(account.get("advertiserAccountId"))
        for body in newer
        for account in items(body, "advertiserAccounts")
    }
    yield _all_listed(
        "newer accounts",
        "every account",
        {str(account.get("adsAccountId")) for account in accounts},
        listed,
    )
    yield _rights(evidence)


def _all_listed(subject: str, check: str, expected: set[str], listed: set[str]) -> Finding:
    if not expected or not listed:
        return _unchecked(subject, check, "one of the two calls has no answer")
    missing = len(expected - listed)
    text = f"{missing} of {len(expected)} are not listed"
    return _judged(subject, check, [text] if missing else [], f"all of {len(expected)}")


def _rights(evidence: Evidence) -> Finding:
    check = ("account", "may be reported on")
    creates = [answer for answer in evidence.answers if answer.endpoint == contract.CREATE_PATH]
    refused = {
        asked_account(create) for create in creates if isinstance(error_of(create), NotAuthorized)
    }
    accepted = {asked_account(create) for create in creates if is_accepted(create)}
    if accepted:
        others = len(refused - accepted)
        return _judged(*check, (), f"but not {others} of the listed" if others else "")
    if refused:
        return _judged(*check, [f"none of {len(refused)} listed accounts that were tried"])
    return _unchecked(*check, evidence.unreached)


def _of_report(evidence: Evidence, check: ReportCheck) -> Iterator[Finding]:
    creates = evidence.creates(check.name)
    asked = "request together" if check.name == contract.MIXED else "request"
    if any(map(is_accepted, creates)):
        yield _judged(check.name, asked, (), "accepted")
    elif (
        creates and is_refused(creates[-1]) and not isinstance(error_of(creates[-1]), NotAuthorized)
    ):
        to_do = contract.advice(
            "request together" if _is_refused_union(check, creates[-1]) else "request"
        )
        yield replace(_judged(check.name, asked, [reason_of(creates[-1])]), to_do=to_do)
    else:
        yield _unchecked(check.name, asked, evidence.gap(check.name))
    yield from _of_rows(evidence, check.name, check.row_shape)
    if rows := evidence.rows(check.name):
        products = {str(get(row, "adProduct.value")).upper().replace(" ", "_") for row in rows}
        others = sorted((products & set(AD_PRODUCTS)) - set(check.ad_products))
        yield _judged(check.name, "filter", [f"rows of {product} came" for product in others])


def _is_refused_union(check: ReportCheck, create: Exchange) -> bool:
    """Return whether Amazon refused several ad products in one report."""
    error = error_of(create)
    return len(check.ad_products) > 1 and error is not None and error.code in contract.UNION_CODES


def _of_rows(evidence: Evidence, step: str, shape: Shape) -> Iterator[Finding]:
    if rows := evidence.rows(step):
        yield from _of_bodies(step, shape, rows)
        return
    came = any(file.step == step for file in evidence.files)
    yield _unchecked(
        step, "fields, values", "its files have no rows" if came else evidence.gap(step)
    )


def _field_names(evidence: Evidence, checks: Sequence[ReportCheck]) -> Finding:
    """Return under which other names fields were accepted, or came."""
    steps = {check.name for check in checks}
    names = {
        name for answer in evidence.answers if is_accepted(answer) for name in asked_fields(answer)
    }
    rows = (
        file.body for file in evidence.files if file.step in steps and isinstance(file.body, list)
    )
    names |= {name for body in rows for row in body if isinstance(row, dict) for name in row}
    if not names:
        return _unchecked("reports", "names of fields", evidence.unreached)
    other = [f"{ours} is {name}" for ours, name in contract.FIELD_VARIANTS.items() if name in names]
    return _judged("reports", "names of fields", other)


def _countries(evidence: Evidence, checks: Sequence[ReportCheck]) -> Finding:
    rows = [row for check in checks for row in evidence.rows(check.name)]
    if not rows:
        return _unchecked(
            "reports", "countries", "no report has rows: choose a busier account by --account"
        )
    seen = {normalise_country(str(get(row, "campaign.country"))) for row in rows}
    asked = {asked_account(answer) for answer in evidence.answers if is_accepted(answer)}
    accounts = [
        account for account in evidence.accounts() if str(account.get("adsAccountId")) in asked
    ]
    codes = {
        normalise_country(str(code))
        for account in accounts
        for code in account.get("countryCodes") or ()
    }
    missing = [f"no report has rows of {code}" for code in sorted(codes - seen)]
    return _judged("reports", "countries", missing, ", ".join(sorted(codes & seen)))


def _of_refusal(evidence: Evidence, refusal: Refusal) -> Finding:
    creates = evidence.creates(refusal.name)
    if any(map(is_accepted, creates)):
        return _judged("refusals", refusal.name, ["Amazon accepts it"])
    error = next((error_of(create) for create in reversed(creates) if is_refused(create)), None)
    if error is None:
        return _unchecked("refusals", refusal.name, evidence.gap(refusal.name))
    differences = []
    if refusal.codes and error.code not in refusal.codes:
        differences.append(f"expected the code {' or '.join(refusal.codes)}, got: {error.code}")
    elif not isinstance(error, refusal.reads_as):
        differences.append(f"read as {type(error).__name__}, expected {refusal.reads_as.__name__}")
    return _judged("refusals", refusal.name, differences)


def _of_headers(evidence: Evidence) -> Iterator[Finding]:
    answers = evidence.answers
    if not answers:
        yield _unchecked("headers", "request id", evidence.unreached)
        return
    without = sum(not set(answer.headers) & set(contract.REQUEST_ID_HEADERS) for answer in answers)
    missing = [f"missing from {without} of {len(answers)} answers"] if without else []
    yield _judged("headers", "request id", missing)
    throttled = [answer for answer in answers if answer.status == _TOO_MANY]
    errors = [
        error
        for answer in throttled
        if "retry-after" in answer.headers and (error := error_of(answer))
    ]
    unread = [error for error in errors if error.retry_after is None]
    found = (
        f"in {len(errors)} of {len(throttled)} answers 429"
        if throttled
        else "no call was throttled"
    )
    odd = ["it is neither seconds nor a date"] if unread else []
    yield _judged("headers", "Retry-After", odd, found)


def _of_times(evidence: Evidence) -> Iterator[Finding]:
    longest = contract.LONGEST_ANSWER_SECONDS
    slow = [
        f"{answer.method} {answer.endpoint.split('/')[1]} took {answer.seconds:.0f} s"
        for answer in evidence.answers
        if answer.seconds > longest
    ]
    slowest = max((answer.seconds for answer in evidence.answers), default=0.0)
    yield _judged("times", "answers", slow, f"the slowest took {slowest:.1f} s")
    times = (_making_time(body) for body in evidence.bodies(contract.RETRIEVE_PATH))
    spans = [span for span in times if span is not None]
    if not spans:
        yield _unchecked("times", "reports", "no report was made")
        return
    late = [
        f"one took {span.total_seconds() / 60:.0f} min"
        for span in spans
        if span > contract.LONGEST_REPORT
    ]
    yield _judged("times", "reports", late, f"the longest took {max(spans).total_seconds():.0f} s")


def _making_time(body: Any) -> timedelta | None:
    """Return how long a complete report took, by Amazon's own times."""
    report = next((get(item, "report") for item in items(body, "success")), None)
    try:
        began = datetime.fromisoformat(str(get(report, "creationDateTime")))
        return datetime.fromisoformat(str(get(report, "completedDateTime"))) - began
    except (ValueError, TypeError):
        return None


def _file_sizes(evidence: Evidence) -> Finding:
    files = [file for file in evidence.files if file.announced is not None]
    if not files:
        return _unchecked("files", "size", "no file was downloaded")
    wrong = sum(file.announced not in (file.sizes or ()) for file in files)
    differences = (
        [f"{wrong} of {len(files)} files have another size than announced"] if wrong else []
    )
    return _judged("files", "size", differences)
