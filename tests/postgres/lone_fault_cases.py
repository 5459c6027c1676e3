"""What must come of each fault of a report when nothing else goes wrong: one entry a fault, or a variant of one.

The classes say what most faults of their kind have in common; an entry says what is its own.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from bidbeacon_sandbox.rules import Limits, Operation, RowChange
from tests.postgres.lone_fault_consequences import (
    ASKED,
    LOADED,
    SILENT,
    Anew,
    Case,
    Confirmed,
    FewBad,
    FifteenLoadsInVain,
    FiveInVain,
    LoadedLater,
    NeedsAttention,
    NeedsDecision,
    PolledLater,
    Refused,
    RefusedTwice,
    Resent,
    SaidTwice,
    Throttled,
    TooManyBad,
    Unanswered,
    Undone,
)
from tests.support.rules import NEW_FIELD, OTHER_SPELLINGS, once, rule

HOUR = timedelta(hours=1)
SHORT = 0.005
"""Real seconds, for what takes real time."""


def bad(kind: RowChange, share: float) -> tuple[Limits, ...]:
    """Return the rule that spoils rows in one way."""
    return (once("rows", change=kind, share=share),)


def unanswered(
    name: str, kind: str, *, reports_of_create: int = 1, **fields: Any
) -> dict[str, Case]:
    """Return the cases of a call without a proper answer: a create leaves us in the dark, a look or a download is repeated."""

    def at(call: Operation) -> tuple[Limits, ...]:
        return (once(kind, call, **fields),)

    return {
        f"{name}: create": Resent(faults=at("create_report"), reports=reports_of_create),
        f"{name}: retrieve": Case(faults=at("retrieve_report"), retrieves=2, seconds=181),
        f"{name}: download": Case(faults=at("download"), downloads=2, seconds=181),
    }


HARMLESS: dict[str, Case] = {
    "slow: download": Case(faults=(once("slow", "download", seconds=SHORT),)),
    "unknown_field in every answer": Case(faults=(rule("answer", add=NEW_FIELD),), strikes=(4,)),
    "odd_status: a new word": Case(
        faults=(once("report_ends", status="COMPLETED", word="WAITING_FOR_GODOT"),)
    ),
    "filter_ignored: all ad products are asked for anyway": Case(
        faults=(once("rows", change="all_products"),)
    ),
    "more_parts: two": Case(faults=(once("parts", count=2),), downloads=2),
    "part_listed_twice": Case(faults=(once("parts", twice=True),)),
    "single_url": Case(faults=(once("parts", single_url=True),)),
    "foreign_rows": Case(faults=(once("rows", change="foreign", share=0.5),)),
    "other_spellings": Case(faults=(once("rows", words=OTHER_SPELLINGS),)),
    "renamed_fields: asked for by their other names": Case(
        faults=(rule("refuse", reason="old_names"),),
        strikes=(2,),
        creates=2,
        told=(LOADED[0], "registry-overridden", *LOADED[1:]),
    ),
}
"""Nothing comes of these but what comes of none; learned names are recorded."""

THROTTLED: dict[str, Case] = {
    "throttle: create, Retry-After within the grace": Throttled(
        faults=(once("answer", "create_report", status=429, retry_after=30),)
    ),
    "throttle: create, Retry-After beyond it": Throttled(
        faults=(once("answer", "create_report", status=429, retry_after=900),), seconds=900 + 180
    ),
    "throttle: create, no Retry-After": Throttled(
        faults=(once("answer", "create_report", status=429),)
    ),
    "throttle: retrieve, Retry-After shorter than the pause between polls": PolledLater(
        faults=(once("answer", "retrieve_report", status=429, retry_after=30),)
    ),
    "throttle: retrieve, Retry-After that is planned with": PolledLater(
        faults=(once("answer", "retrieve_report", status=429, retry_after=900),), seconds=180 + 900
    ),
    "throttle: download": LoadedLater(
        faults=(once("answer", "download", status=429, retry_after=30),), seconds=180 + 30
    ),
    "throttle_accepted": Throttled(faults=(once("accepted_429", retry_after=1),), reports=2),
    "one_at_a_time: somebody else's report is made first": Throttled(
        faults=(once("one_at_a_time"),), twin=True, reports=2
    ),
    "duplicate_refused: somebody else's is taken over": Case(
        faults=(once("duplicate"),),
        twin=True,
        told=("windows-queued", "report-adopted", "report-processed"),
        retrieves=2,
    ),
}

UNANSWERED: dict[str, Case] = {
    **unanswered("server_error 500", "answer", status=500),
    **unanswered("html_body 200", "answer", html=True, status=200),
    **unanswered("connection_cut", "cut", reports_of_create=2),
    "html_body 200: download": LoadedLater(
        faults=(once("answer", "download", html=True, status=200),)
    ),
    "connection_cut: token": Case(faults=(once("cut", "token"),), tokens=2, seconds=181),
    "throttle: token": Case(
        faults=(once("answer", "token", status=429, retry_after=30),),
        told=("windows-queued", "request-retried", *ASKED[1:], "report-processed"),
        tokens=2,
        seconds=180 + 30,
    ),
    "server_error: create, always": Unanswered(
        faults=(rule("answer", "create_report", status=500),)
    ),
    "connection_cut: create, always": Unanswered(faults=(rule("cut", "create_report"),), reports=5),
    "partial_failure: create": Resent(
        faults=(once("refuse", "create_report", code="500000", as_207=True),)
    ),
    "partial_failure: create, a code of ours": Refused(
        faults=(
            once("refuse", "create_report", code="400013", message="No field Color", as_207=True),
        ),
        why="^field-refused: .*No field Color",
    ),
    "partial_failure: create, fields of several ad products": Refused(
        faults=(
            once("refuse", "create_report", code="400004", message="No field Color", as_207=True),
        ),
        why="^fields-refused-together: .*No field Color.*bidbeacon contract set",
    ),
}

MISSING_RIGHTS = NeedsAttention(
    faults=(rule("refuse", reason="no_rights"),),
    told=("windows-queued", "account-needs-attention", "report-failed"),
    strikes=(1,),
    creates=1,
    seconds=0,
    person=r"^reporting-not-allowed: .*accounts resume CA\.acme-merch\.1kc1",
)

REFUSED: dict[str, Case] = {
    "unauthorized: create": Case(
        faults=(once("answer", "create_report", status=401),), creates=2, tokens=2
    ),
    "unauthorized: always": NeedsAttention(
        faults=(rule("answer", status=401),),
        strikes=(6,),
        creates=6,
        tokens=4,
        person="^account-refused: .*Access token is not valid.*accounts resume CA",
    ),
    "token_expiry: retrieve": Case(
        faults=(once("token", "retrieve_report"),), retrieves=2, tokens=2
    ),
    "invalid_grant": Refused(
        faults=(rule("token", what="revoked"),),
        tokens=1,
        told=("windows-queued", "credentials-refused"),
        creates=0,
        ends="requested",
        rests=True,
        person="^token-revoked: ",
    ),
    "missing_rights": MISSING_RIGHTS,
    "multi_status: the same inside a 207": replace(
        MISSING_RIGHTS,
        faults=(rule("refuse", reason="no_rights"), rule("refuse", as_207=True)),
        strikes=(1, 1),
    ),
    "forbidden: create": Confirmed(faults=(once("answer", "create_report", status=403),)),
    "forbidden: create, always": NeedsAttention(
        faults=(rule("answer", "create_report", status=403),),
        person="^account-refused: .*Profile has no rights",
    ),
    "forbidden: retrieve": PolledLater(faults=(once("answer", "retrieve_report", status=403),)),
    "forbidden: retrieve, always": NeedsAttention(
        faults=(rule("answer", "retrieve_report", status=403),),
        told=(*ASKED, "report-pending", "account-needs-attention", "report-failed"),
        creates=1,
        retrieves=3,
        reports=1,
        seconds=180 + 60 + 90,
        person="^account-refused: .*Profile has no rights",
    ),
    "forbidden: download, like an url that has expired": Case(
        faults=(once("answer", "download", status=403),), retrieves=2, downloads=2
    ),
    "wrong_region: create": Confirmed(
        faults=(once("refuse", "create_report", reason="wrong_region"),)
    ),
    "wrong_region: create, always": RefusedTwice(
        faults=(rule("refuse", "create_report", reason="wrong_region"),),
        why="^request-refused: .*The account is not in this region",
    ),
    "too_old, of a day that Amazon serves": Confirmed(faults=(once("refuse", reason="too_old"),)),
    "too_old, of a day that Amazon serves, always": RefusedTwice(
        faults=(rule("refuse", reason="too_old"),), why="^report-too-old: .*startDate is too old"
    ),
    "history: three days ago are refused": RefusedTwice(
        faults=(rule("history", days=2),), why="^report-too-old: .*startDate is too old"
    ),
}

ENDED: dict[str, Case] = {
    "report_failed": Anew(faults=(once("report_ends"),)),
    "report_failed: always": FiveInVain(
        faults=(rule("report_ends", code="E7", reason="Out of ink"),),
        why="^report-failed: .*E7: Out of ink.*Given up after 5 attempts",
    ),
    "report_failed: always, and there is older data": FiveInVain(
        faults=(rule("report_ends", reason="Out of ink"),),
        loaded_before=True,
        why="^report-failed: .*Out of ink",
    ),
    "report_cancelled: always": FiveInVain(
        faults=(rule("report_ends", status="CANCELLED"),), why="reported CANCELLED"
    ),
    "report_expired: always": FiveInVain(
        faults=(rule("report_ends", status="EXPIRED"),), why="reported EXPIRED"
    ),
    "report_pending: five hours": PolledLater(
        faults=(once("report_ends", status="COMPLETED", seconds=5 * 3600),),
        pause=HOUR,
        retrieves=5,
        seconds=5 * 3600,
    ),
    "report_pending: for ever": Anew(
        faults=(once("report_ends", status="PENDING"),),
        pause=HOUR,
        told=(*ASKED, "report-pending", "request-retried", "report-requested", "report-processed"),
        retrieves=25,
        seconds=26 * 3600,
    ),
}

FILES: dict[str, Case] = {
    "expired_url: signed anew": Case(
        faults=(once("urls", expired=True),), retrieves=2, downloads=2
    ),
    "expired_url: not signed anew": Anew(
        faults=(once("urls", expired=True), rule("urls", same=True)),
        strikes=(1, 4),
        retrieves=4,
        downloads=4,
    ),
    "expired_url: always": FiveInVain(
        faults=(rule("urls", expired=True),),
        strikes=(15,),
        retrieves=15,
        downloads=15,
        why="^download-expired: .*Request has expired",
    ),
    "wrong_size: not compared": Case(faults=(once("file", size_factor=0.5),)),
    "part_missing: always": FifteenLoadsInVain(
        faults=(rule("parts", missing=-1),), why="^file-missing: .*file 1 of 1: NoSuchKey"
    ),
    "truncated_gzip": LoadedLater(faults=(once("file", keep=0.5),)),
    "truncated_gzip: always, and there is older data": FifteenLoadsInVain(
        faults=(rule("file", keep=0.5),),
        loaded_before=True,
        why="^file-incomplete: .*damaged gzip",
    ),
    "redirect: always": FifteenLoadsInVain(
        faults=(rule("file", redirect=""),),
        why=r"^download-refused: .*got: http://127\.0\.0\.2",
    ),
}

SUSPICIOUS = (*ASKED, "report-suspicious", *ASKED, "report-processed")
"""Another report is asked for after 15 minutes, and what it says is loaded if it is the same, or not as poor."""

ROWS: dict[str, Case] = {
    "empty_report: twice, nothing was there before": SaidTwice(
        faults=(rule("rows", change="vanish", share=1),)
    ),
    "history: three days ago are an empty success": SaidTwice(
        faults=(rule("history", days=2, empty=True),)
    ),
    "history: 200 days ago are an empty success": SaidTwice(
        faults=(rule("history", days=100, empty=True),),
        age=200,
        told=(*SILENT, "report-processed", "windows-not-served"),
        ends="not_served",
        rows="unchanged",
        why="^history-not-proven: Amazon reports no rows of old days",
    ),
    "country_missing": NeedsDecision(faults=(once("rows", change="no_country"),)),
    "empty_report: once, where rows were": NeedsDecision(
        faults=(once("rows", change="vanish", share=1),), loaded_before=True, told=SUSPICIOUS
    ),
    "empty_report: twice, where rows were": SaidTwice(
        faults=(rule("rows", change="vanish", share=1),), loaded_before=True, told=SUSPICIOUS
    ),
    "vanish_rows: half, where rows were": Undone(
        faults=(once("rows", change="vanish", share=0.5),), loaded_before=True
    ),
    "old_brands: a campaign that no report has": Undone(faults=(rule("old_brands"),)),
    "appear_rows": Undone(faults=(once("rows", change="appear", share=0.2),)),
    "restate_rows": Undone(faults=(once("rows", change="restate", share=0.5),)),
    "unknown_target": Undone(faults=(once("rows", change="unknown_target", share=0.5),)),
    "bad_rows: null_metric is legal": Undone(faults=bad("null_metric", 1)),
    "bad_rows: unknown_key is legal": Case(faults=bad("unknown_key", 1)),
    "bad_rows: duplicate_key is legal": Case(faults=bad("duplicate_key", 1)),
    "bad_rows: missing_field": TooManyBad(  # a field that the row's ad product has not may be missing
        faults=bad("missing_field", 1),
        why=r"^rows-invalid: \d+ of \d+ rows \([6-9]\d\.\d%\)",
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
        quarantined=r"campaign\.country: expected a country code of two letters, got: (False|0|\[\]|nothing)",
    ),
    "bad_rows: all, and there is older data": TooManyBad(
        faults=bad("wrong_type", 1),
        loaded_before=True,
        quarantined=r"metric\.\w+: expected .*, got: ",
    ),
    "bad_rows: a few negative_metric": FewBad(
        faults=bad("negative_metric", 0.06), quarantined=r"metric\.\w+: expected .*, got: -\d"
    ),
}

REPORT_CASES: dict[str, Case] = HARMLESS | THROTTLED | UNANSWERED | REFUSED | ENDED | FILES | ROWS
