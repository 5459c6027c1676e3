"""What must come of each fault of a report when nothing else goes wrong: one entry a fault, or a variant of one.

The classes say what most faults of their kind have in common; an entry says what is its own.
"""

from typing import Any

from bidbeacon_sandbox.faults import BadRow, FaultName, FaultRule, Operation
from tests.postgres.lone_fault_consequences import (
    AGAIN,
    ASKED,
    Anew,
    Case,
    Confirmed,
    FewBad,
    FifteenLoadsInVain,
    FiveInVain,
    NeedsAttention,
    Refused,
    RefusedTwice,
    Resent,
    Throttled,
    TooManyBad,
    Unanswered,
    Undone,
)
from tests.postgres.lone_fault_world import fault, once

HOUR = 3600
SHORT, FAST = 0.005, 2_000_000
"""Real seconds and bytes a real second, for what takes real time."""


def bad(kind: BadRow, share: float) -> tuple[FaultRule, ...]:
    """Return the fault that spoils rows in one way."""
    return (once("bad_rows", kinds=(kind,), share=share),)


def unanswered(
    fault_name: FaultName, *, reports_of_create: int = 1, **options: Any
) -> dict[str, Case]:
    """Return the cases of a call without a proper answer: a create leaves us in the dark, a look or a download is repeated."""

    def rule(operation: Operation) -> tuple[FaultRule, ...]:
        return (once(fault_name, operation, **options),)

    name = " ".join([fault_name, *map(str, options.values())])
    return {
        f"{name}: create": Resent(faults=rule("create_report"), reports=reports_of_create),
        f"{name}: retrieve": Case(faults=rule("retrieve_report"), retrieves=2, seconds=181),
        f"{name}: download": Case(faults=rule("download"), downloads=2, seconds=181),
    }


HARMLESS: dict[str, Case] = {
    "slow: create": Case(faults=(once("slow", "create_report", seconds=SHORT),)),
    "slow: retrieve": Case(faults=(once("slow", "retrieve_report", seconds=SHORT),)),
    "slow: download": Case(faults=(once("slow", "download", seconds=SHORT),)),
    "unknown_field in every answer": Case(faults=(fault("unknown_field"),), strikes=(4,)),
    "odd_status: an old word": Case(faults=(once("odd_status"),)),
    "odd_status: a new word": Case(faults=(once("odd_status", word="WAITING_FOR_GODOT"),)),
    "filter_ignored: all ad products are asked for anyway": Case(faults=(once("filter_ignored"),)),
    "more_parts: two": Case(faults=(once("more_parts"),), downloads=2),
    "more_parts: 100": Case(faults=(once("more_parts", parts=100),), downloads=100),
    "part_listed_twice": Case(faults=(once("part_listed_twice"),)),
    "single_url": Case(faults=(once("single_url"),)),
    "foreign_rows": Case(faults=(once("foreign_rows", share=0.5),)),
    "null_products: targets have none": Case(faults=(once("null_products", share=1),)),
    "other_spellings": Case(faults=(once("other_spellings"),)),
    "renamed_fields: asked for by their other names": Case(
        faults=(fault("renamed_fields"),), strikes=(2,), creates=2
    ),
    "number_ids": Case(faults=(once("number_ids"),)),
    "string_ids": Case(faults=(once("string_ids"),)),
    "no_resign: the url lives": Case(faults=(fault("no_resign"),)),
    "trickle": Case(faults=(once("trickle", bytes_per_second=FAST),)),
}
"""Nothing comes of these but what comes of none."""

THROTTLED: dict[str, Case] = {
    "throttle: create, Retry-After within the grace": Throttled(
        faults=(once("throttle", "create_report", seconds=30),)
    ),
    "throttle: create, Retry-After beyond it": Throttled(
        faults=(once("throttle", "create_report", seconds=900),), seconds=900 + 180
    ),
    "throttle: create, Retry-After as a date": Throttled(
        faults=(once("throttle", "create_report", seconds=900, retry_after="http-date"),),
        seconds=900 + 180,
        within=2,
    ),
    "throttle: create, no Retry-After": Throttled(
        faults=(once("throttle", "create_report", retry_after="none"),)
    ),
    "throttle: retrieve, Retry-After that is sat out": Case(
        faults=(once("throttle", "retrieve_report", seconds=4),), retrieves=2, seconds=180 + 4
    ),
    "throttle: retrieve, Retry-After shorter than the pause between polls": Case(
        faults=(once("throttle", "retrieve_report", seconds=30),),
        told=(*ASKED, "report-pending", "report-processed"),
        retrieves=2,
        seconds=180 + 60,
    ),
    "throttle: retrieve, Retry-After that is planned with": Case(
        faults=(once("throttle", "retrieve_report", seconds=900),),
        told=(*ASKED, "report-pending", "report-processed"),
        retrieves=2,
        seconds=180 + 900,
    ),
    "throttle: retrieve, Retry-After as a date": Case(
        faults=(once("throttle", "retrieve_report", seconds=300, retry_after="http-date"),),
        told=(*ASKED, "report-pending", "report-processed"),
        retrieves=2,
        seconds=180 + 300,
        within=2,
    ),
    "throttle: retrieve, no Retry-After": Case(
        faults=(once("throttle", "retrieve_report", retry_after="none"),), retrieves=2, seconds=181
    ),
    "throttle: download": Case(
        faults=(once("throttle", "download", seconds=30),),
        told=AGAIN,
        retrieves=2,
        downloads=2,
        seconds=180 + 30,
    ),
    "throttle_accepted": Throttled(faults=(once("throttle_accepted"),), reports=2),
    "throttle_accepted: Retry-After as a date": Throttled(
        faults=(once("throttle_accepted", seconds=900, retry_after="http-date"),),
        reports=2,
        seconds=900 + 180,
        within=2,
    ),
    "throttle_accepted: no Retry-After": Throttled(
        faults=(once("throttle_accepted", retry_after="none"),), reports=2
    ),
    "one_at_a_time: somebody else's report is made first": Throttled(
        faults=(once("one_at_a_time", retry_after="none"),), twin=True, reports=2
    ),
    "duplicate_refused: somebody else's is taken over": Case(
        faults=(once("duplicate_refused"),),
        twin=True,
        told=("windows-queued", "report-adopted", "report-processed"),
        retrieves=2,
    ),
}

UNANSWERED: dict[str, Case] = {
    **unanswered("server_error", status=500),
    **unanswered("server_error", status=502),
    **unanswered("server_error", status=503),
    **unanswered("html_body"),
    **unanswered("html_body", status=200),
    **unanswered("connection_cut", reports_of_create=2),
    "html_body 200: download": Case(
        faults=(once("html_body", "download", status=200),),
        told=AGAIN,
        retrieves=2,
        downloads=2,
        seconds=180 + 60,
    ),
    "server_error: token": Case(faults=(once("server_error", "token"),), tokens=2, seconds=181),
    "html_body: token": Case(faults=(once("html_body", "token"),), tokens=2, seconds=181),
    "html_body 200: token": Case(
        faults=(once("html_body", "token", status=200),), tokens=2, seconds=181
    ),
    "connection_cut: token": Case(faults=(once("connection_cut", "token"),), tokens=2, seconds=181),
    "throttle: token": Case(
        faults=(once("throttle", "token", seconds=30),),
        told=("windows-queued", "request-retried", *ASKED[1:], "report-processed"),
        tokens=2,
        seconds=180 + 30,
    ),
    "server_error: create, always": Unanswered(faults=(fault("server_error", "create_report"),)),
    "connection_cut: create, always": Unanswered(
        faults=(fault("connection_cut", "create_report"),), reports=5
    ),
    "partial_failure: create": Resent(faults=(once("partial_failure", "create_report"),)),
    "partial_failure: create, a code of ours": Refused(
        faults=(once("partial_failure", "create_report", code="400013", reason="No field Colour"),),
        why="^field-refused: .*No field Colour",
    ),
    "partial_failure: create, fields of several ad products": Refused(
        faults=(once("partial_failure", "create_report", code="400004", reason="No field Colour"),),
        why="^fields-refused-together: .*No field Colour.*bidbeacon contract set",
    ),
    "partial_failure: retrieve": Case(
        faults=(once("partial_failure", "retrieve_report"),), retrieves=2, seconds=181
    ),
}

REFUSED: dict[str, Case] = {
    "unauthorized: create": Case(
        faults=(once("unauthorized", "create_report"),), creates=2, tokens=2
    ),
    "unauthorized: retrieve": Case(
        faults=(once("unauthorized", "retrieve_report"),), retrieves=2, tokens=2
    ),
    "unauthorized: always": NeedsAttention(
        faults=(fault("unauthorized"),),
        strikes=(6,),
        creates=6,
        tokens=4,
        person="^account-refused: .*Access token is not valid.*accounts resume CA",
    ),
    "token_expiry: create": Case(
        faults=(once("token_expiry", "create_report"),), creates=2, tokens=2
    ),
    "token_expiry: retrieve": Case(
        faults=(once("token_expiry", "retrieve_report"),), retrieves=2, tokens=2
    ),
    "invalid_grant": Refused(
        faults=(fault("invalid_grant"),),
        tokens=1,
        told=("windows-queued", "credentials-refused"),
        creates=0,
        ends="requested",
        rests=True,
        person="^token-revoked: ",
    ),
    "too_large: of one day it isn't": Case(faults=(once("too_large"),)),
    "too_large_later: of one day it isn't": Case(faults=(once("too_large_later"),)),
    "missing_rights": NeedsAttention(
        faults=(fault("missing_rights"),),
        told=("windows-queued", "account-needs-attention", "report-failed"),
        strikes=(1,),
        creates=1,
        seconds=0,
        person=r"^reporting-not-allowed: .*accounts resume CA\.acme-merch\.1kc1",
    ),
    "multi_status: the same inside a 207": NeedsAttention(
        faults=(fault("missing_rights"), fault("multi_status")),
        told=("windows-queued", "account-needs-attention", "report-failed"),
        strikes=(1, 1),
        creates=1,
        seconds=0,
        person=r"^reporting-not-allowed: .*accounts resume CA\.acme-merch\.1kc1",
    ),
    "forbidden: create": Confirmed(faults=(once("forbidden", "create_report"),)),
    "forbidden: create, always": NeedsAttention(
        faults=(fault("forbidden", "create_report"),),
        person="^account-refused: .*Profile has no rights",
    ),
    "forbidden: retrieve": Case(
        faults=(once("forbidden", "retrieve_report"),),
        told=(*ASKED, "report-pending", "report-processed"),
        retrieves=2,
        seconds=180 + 60,
    ),
    "forbidden: retrieve, always": NeedsAttention(
        faults=(fault("forbidden", "retrieve_report"),),
        told=(*ASKED, "report-pending", "account-needs-attention", "report-failed"),
        creates=1,
        retrieves=3,
        reports=1,
        seconds=180 + 60 + 90,
        person="^account-refused: .*Profile has no rights",
    ),
    "unauthorized: download, which shows no token": Case(
        faults=(once("unauthorized", "download"),), retrieves=2, downloads=2
    ),
    "token_expiry: download, which shows no token": Case(
        faults=(once("token_expiry", "download"),), retrieves=2, downloads=2
    ),
    "forbidden: download, like an url that has expired": Case(
        faults=(once("forbidden", "download"),), retrieves=2, downloads=2
    ),
    "wrong_region: create": Confirmed(faults=(once("wrong_region", "create_report"),)),
    "wrong_region: create, always": RefusedTwice(
        faults=(fault("wrong_region", "create_report"),),
        why="^request-refused: .*The account is not in this region",
    ),
    "wrong_region: retrieve": Case(
        faults=(once("wrong_region", "retrieve_report"),),
        told=(*ASKED, "report-pending", "report-processed"),
        retrieves=2,
        seconds=180 + 60,
    ),
    "too_old, of a day that Amazon serves": Confirmed(faults=(once("too_old"),)),
    "too_old, of a day that Amazon serves, always": RefusedTwice(
        faults=(fault("too_old"),), why="^report-too-old: .*startDate is too old"
    ),
}

ENDED: dict[str, Case] = {
    "report_failed": Anew(faults=(once("report_failed"),)),
    "report_failed: always": FiveInVain(
        faults=(fault("report_failed", code="E7", reason="Out of ink"),),
        why="^report-failed: .*E7: Out of ink.*Given up after 5 attempts",
    ),
    "report_failed: always, and there is older data": FiveInVain(
        faults=(fault("report_failed", reason="Out of ink"),),
        loaded_before=True,
        reports=6,
        rows="as before",
        why="^report-failed: .*Out of ink",
    ),
    "report_cancelled": Anew(faults=(once("report_cancelled"),)),
    "report_cancelled: always": FiveInVain(
        faults=(fault("report_cancelled"),), why="reported CANCELLED"
    ),
    "report_expired": Anew(faults=(once("report_expired"),)),
    "report_expired: always": FiveInVain(faults=(fault("report_expired"),), why="reported EXPIRED"),
    "report_pending: five hours": Case(
        faults=(once("report_pending", seconds=5 * HOUR),),
        looks_every=HOUR,
        told=(*ASKED, "report-pending", "report-processed"),
        retrieves=5,
        seconds=5 * HOUR,
    ),
    "report_pending: for ever": Anew(
        faults=(once("report_pending"),),
        looks_every=HOUR,
        told=(*ASKED, "report-pending", "request-retried", "report-requested", "report-processed"),
        retrieves=25,
        seconds=26 * HOUR,
    ),
}

FILES: dict[str, Case] = {
    "expired_url: signed anew": Case(faults=(once("expired_url"),), retrieves=2, downloads=2),
    "expired_url: signed anew at the second look": Case(
        faults=(fault("expired_url", times=2),), strikes=(2,), retrieves=3, downloads=3
    ),
    "expired_url: not signed anew": Anew(
        faults=(once("expired_url"), fault("no_resign")), strikes=(1, 4), retrieves=4, downloads=4
    ),
    "expired_url: always": FiveInVain(
        faults=(fault("expired_url"),),
        strikes=(15,),
        retrieves=15,
        downloads=15,
        why="^download-expired: .*Request has expired",
    ),
    "wrong_size: not compared": Case(faults=(once("wrong_size"),)),
    "part_missing": Case(
        faults=(once("part_missing"),), told=AGAIN, retrieves=2, downloads=2, seconds=180 + 60
    ),
    "part_missing: always": FifteenLoadsInVain(
        faults=(fault("part_missing"),), why="^file-missing: .*file 1 of 1: NoSuchKey"
    ),
    "truncated_gzip": Case(
        faults=(once("truncated_gzip"),), told=AGAIN, retrieves=2, downloads=2, seconds=180 + 60
    ),
    "truncated_gzip: always": FifteenLoadsInVain(
        faults=(fault("truncated_gzip"),), why="^file-incomplete: .*damaged gzip"
    ),
    "redirect": Case(
        faults=(once("redirect"),), told=AGAIN, retrieves=2, downloads=2, seconds=180 + 60
    ),
    "redirect: always": FifteenLoadsInVain(
        faults=(fault("redirect"),),
        why=r"^download-refused: .*got: http://127\.0\.0\.2",
    ),
}

SUSPICIOUS = (*ASKED, "report-suspicious", *ASKED, "report-processed")
"""Another report is asked for after 15 minutes, and what it says is loaded if it is the same, or not as poor."""

ROWS: dict[str, Case] = {
    "empty_report: nothing was there before": Anew(
        faults=(once("empty_report"),),
        told=(*ASKED, "windows-unconfirmed", *ASKED, "report-processed"),
        downloads=2,
        seconds=180 + 900 + 180,
    ),
    "empty_report: twice, nothing was there before": Undone(
        faults=(fault("empty_report"),),
        strikes=(2,),
        told=(*ASKED, "windows-unconfirmed", *ASKED, "silence-accepted", "report-processed"),
        creates=2,
        retrieves=2,
        downloads=2,
        reports=2,
        seconds=180 + 900 + 180,
    ),
    "country_missing": Anew(
        faults=(once("country_missing"),),
        told=(*ASKED, "windows-unconfirmed", *ASKED, "report-processed"),
        downloads=2,
        seconds=180 + 900 + 180,
    ),
    "empty_report: once, where rows were": Anew(
        faults=(once("empty_report"),),
        loaded_before=True,
        told=SUSPICIOUS,
        downloads=2,
        reports=3,
        seconds=180 + 900 + 180,
    ),
    "empty_report: twice, where rows were": Undone(
        faults=(fault("empty_report"),),
        strikes=(2,),
        loaded_before=True,
        told=SUSPICIOUS,
        creates=2,
        retrieves=2,
        downloads=2,
        reports=3,
        seconds=180 + 900 + 180,
    ),
    "vanish_rows: nearly all, where rows were": Anew(
        faults=(once("vanish_rows", share=0.99),),
        loaded_before=True,
        told=SUSPICIOUS,
        downloads=2,
        reports=3,
        seconds=180 + 900 + 180,
    ),
    "vanish_rows: half, where rows were": Undone(
        faults=(once("vanish_rows", share=0.5),), loaded_before=True, reports=2
    ),
    "appear_rows": Undone(faults=(once("appear_rows", share=0.2),)),
    "restate_rows": Undone(faults=(once("restate_rows", share=0.5),)),
    "unknown_target": Undone(faults=(once("unknown_target", share=0.5),)),
    "bad_rows: null_metric is legal": Undone(faults=bad("null_metric", 1)),
    "bad_rows: unknown_key is legal": Case(faults=bad("unknown_key", 1)),
    "bad_rows: duplicate_key is legal": Case(faults=bad("duplicate_key", 1)),
    "bad_rows: missing_field": TooManyBad(  # a field that the row's ad product has not may be missing
        faults=bad("missing_field", 1),
        why=r"^rows-invalid: \d+ of \d+ rows \(9\d\.\d%\)",
        quarantined=r"(\w+\.id|metric\.\w+|date\.value): missing",
    ),
    "bad_rows: wrong_type": TooManyBad(
        faults=bad("wrong_type", 1),
        quarantined=r"metric\.\w+: expected .*, got: ('many'|\[1\]|{'value': 1}|True)",
    ),
    "bad_rows: impossible_date": TooManyBad(
        faults=bad("impossible_date", 1),
        quarantined=r"date\.value: expected a date YYYY-MM-DD, got: '(2025-02-30|0000-00-00|30/12/2025|)'",
    ),
    "bad_rows: impossible_hour, of rows by day a date": TooManyBad(
        faults=bad("impossible_hour", 1),
        quarantined=r"date\.value: expected a date YYYY-MM-DD, got: '.*'",
    ),
    "bad_rows: negative_metric": TooManyBad(
        faults=bad("negative_metric", 1), quarantined=r"metric\.\w+: expected .*, got: -\d"
    ),
    "bad_rows: unreadable_country": TooManyBad(
        faults=bad("unreadable_country", 1),
        quarantined=r"campaign\.country: expected a country of two letters, got: (False|0|\[\]|nothing)",
    ),
    "bad_rows: all, and there is older data": TooManyBad(
        faults=bad("wrong_type", 1),
        loaded_before=True,
        reports=2,
        rows="as before",
        quarantined=r"metric\.\w+: expected .*, got: ",
    ),
    "bad_rows: a few missing_field": FewBad(
        faults=bad("missing_field", 0.06), quarantined=r"(\w+\.id|metric\.\w+|date\.value): missing"
    ),
    "bad_rows: a few negative_metric": FewBad(
        faults=bad("negative_metric", 0.06), quarantined=r"metric\.\w+: expected .*, got: -\d"
    ),
    "bad_rows: a few impossible_date": FewBad(
        faults=bad("impossible_date", 0.06),
        quarantined=r"date\.value: expected a date YYYY-MM-DD, got: '.*'",
    ),
}

REPORT_CASES: dict[str, Case] = HARMLESS | THROTTLED | UNANSWERED | REFUSED | ENDED | FILES | ROWS
