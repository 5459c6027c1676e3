"""Explains the state of a window: from facts to one verdict, whose sentence says what happens next and when. Pure.

The first rule that matches decides; facts that match no rule are "unknown".
"""

from collections.abc import Callable
from datetime import datetime

from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.problems.explain_requests import explain_request
from bidbeacon_pipelines.problems.verdicts import (
    Cause,
    KnownWindow,
    Severity,
    Verdict,
    describe_due,
    describe_next_request,
    entities_deadline,
    is_before_first_entities,
    is_overdue,
    last_sessions,
    next_round,
    refresh_command,
    waits_for_countries,
    when,
)
from bidbeacon_pipelines.windows.facts import AccountFacts, WindowFacts
from bidbeacon_pipelines.windows.rules import due_at, local_date, oldest_served
from bidbeacon_sessions.sentences import without_stop


def explain(facts: WindowFacts, now: datetime) -> Verdict:
    """Explain the state of a window.

    Args:
        facts: What is known of it.
        now: The instant of the question, UTC.
    """
    if facts.account is None:
        unknown = (
            f"There is no account {facts.account_key!r}: `bidbeacon accounts list` shows them."
        )
        return Verdict(Cause.UNKNOWN_ACCOUNT, Severity.ERROR, unknown)
    if facts.dataset is None:
        unknown = f"There is no dataset {facts.dataset_name!r}: there are {', '.join(facts.known_datasets)}."
        return Verdict(Cause.UNKNOWN_DATASET, Severity.ERROR, unknown)
    if facts.window is None:
        return _without_window(facts, facts.account, facts.dataset, now)
    known = KnownWindow(facts, facts.account, facts.dataset, facts.window, now)
    return next((verdict for rule in _RULES if (verdict := rule(known))), None) or _unknown(known)


def _without_window(
    facts: WindowFacts, account: AccountFacts, dataset: Dataset, now: datetime
) -> Verdict:
    day, today = facts.window_date, local_date(now, account.time_zone)
    oldest = oldest_served(dataset, today)
    if day > today:
        first = due_at(day, dataset.refresh_offsets[0], account.time_zone)
        sentence = f"{day} has not started in the account's time zone ({account.time_zone}); its first report is requested at {when(first)}."
        return Verdict(Cause.NOT_BEGUN, Severity.FINE, sentence, first)
    if day < oldest:
        sentence = f"Amazon serves {dataset.name} only back to {oldest}, and {day} was never loaded, so it stays empty."
        return Verdict(Cause.OUTSIDE_HISTORY, Severity.FINE, sentence)
    stopped = _stop_of(account)
    if stopped is not None:
        return _stop_verdict(facts, *stopped, "It has no data yet")
    sentence = "Its window does not exist yet: the account's next refresh creates and requests it."
    after = entities_deadline(account) if is_before_first_entities(account, now) else now
    return Verdict(Cause.NOT_PLANNED, Severity.WAITING, sentence, after)


def _expired(known: KnownWindow) -> Verdict | None:
    window = known.window
    if window.load_count or window.request_id is not None or window.expires_at > known.now:
        return None
    sentence = f"Amazon has not served it since {when(window.expires_at)}, and it was never loaded, so it stays empty."
    return Verdict(
        Cause.EXPIRED, Severity.ERROR, sentence, None, known.proven_by("expired", "failed")
    )


def _requested(known: KnownWindow) -> Verdict | None:
    request = known.facts.request
    return None if request is None else explain_request(known, request)


def _resting(known: KnownWindow) -> Verdict | None:
    """A request of an account that needs attention is neither sent nor polled: it waits for credentials, otherwise it is given up."""
    stopped, request = _stop_of(known.account), known.facts.request
    if stopped is None or request is None:
        return None
    if request.lock_is_alive and stopped[0] is not Cause.CREDENTIALS_NEED_ATTENTION:
        return None  # the session working on it began before
    return _stop_verdict(known.facts, *stopped, known.kept)


def _stopped(known: KnownWindow) -> Verdict | None:
    """A window is not requested while its account is stopped; data stays fresh until its next refresh is due."""
    stopped = _stop_of(known.account)
    if stopped is None or known.window.request_id is not None or _is_fresh(known):
        return None
    return _stop_verdict(known.facts, *stopped, known.kept)


def _suspicious(known: KnownWindow) -> Verdict | None:
    if known.window.suspicious_digest is None or known.window.status != "loaded":
        return None
    sentence = (
        f"Its last report was suspicious: {without_stop(known.window.failure_reason or 'it lost nearly all of its rows')}. {known.kept}; "
        f"{describe_next_request(known)}."
    )
    at = known.window.next_refresh_at
    return Verdict(
        Cause.SUSPICIOUS, Severity.WARNING, sentence, at, known.proven_by("loaded", "suspicious")
    )


def _unconfirmed(known: KnownWindow) -> Verdict | None:
    if known.window.status != "unconfirmed":
        return None
    sentence = f"Its report had {without_stop(known.window.failure_reason or 'no rows')}. {known.kept}; {describe_next_request(known)}."
    at = known.window.next_refresh_at
    return Verdict(
        Cause.UNCONFIRMED, Severity.WARNING, sentence, at, known.proven_by("unconfirmed")
    )


def _refused(known: KnownWindow) -> Verdict | None:
    """The report was loaded, but this window refused it."""
    last = known.facts.ended
    if known.window.status != "failed" or last is None or last.status != "loaded":
        return None
    sentence = (
        f"Report {last.report_id} was refused: {without_stop(known.window.failure_reason or 'its rows')}; "
        f"{last.bad_rows:,} of its rows {'is' if last.bad_rows == 1 else 'are'} in quarantine, see `bidbeacon quarantine list`. {known.kept}; {describe_next_request(known)}."
    )
    return Verdict(
        Cause.REFUSED,
        Severity.ERROR,
        sentence,
        known.window.next_refresh_at,
        known.proven_by("failed"),
    )


def _failed(known: KnownWindow) -> Verdict | None:
    if known.window.status != "failed" or known.window.failure_reason is None:
        return None
    at = known.window.next_refresh_at
    sentence = f"Its report failed: {without_stop(known.window.failure_reason)}. {known.kept}; {describe_next_request(known)}."
    return Verdict(
        Cause.FAILED, Severity.ERROR, sentence, at, known.proven_by("requested", "failed")
    )


def _due(known: KnownWindow) -> Verdict | None:
    if not known.is_due or known.window.request_id is not None:
        return None
    cause, at = _what_it_waits_for(known)
    return Verdict(
        cause,
        Severity.WARNING if is_overdue(known) else Severity.WAITING,
        f"{_resumed(known)}{_due_since(known)}: {describe_due(known)}. {known.kept}.",
        at,
        known.proven_by("loaded", "skipped", "resumed"),
    )


def _resumed(known: KnownWindow) -> str:
    """Return since when the account is refreshed again, where the window has not been requested since; an empty text otherwise."""
    at = max((one.at for one in known.facts.references if one.effect == "resumed"), default=None)
    asked = known.window.last_requested_at
    is_news = at is not None and (asked is None or asked < at)
    return f"The account was resumed at {when(at)}. " if at is not None and is_news else ""


def _what_it_waits_for(known: KnownWindow) -> tuple[Cause, datetime | None]:
    """Return why a due window is in no report yet, and when that changes, if known."""
    if (round_at := next_round(known)) is not None:
        return Cause.WAITING_FOR_ROUND, round_at
    if known.facts.planned is not None:
        gate = known.facts.gate
        return Cause.QUEUED, None if gate is None else gate.closed_until
    if waits_for_countries(known):
        return Cause.WAITING_FOR_COUNTRIES, known.facts.waits_until
    return Cause.DUE, known.now


def _due_since(known: KnownWindow) -> str:
    since = known.window.next_refresh_at
    if since is None or since > known.now:
        return "It was requested manually"
    what = (
        "Its first report"
        if known.window.data_as_of is None
        else _capital(known.refresh_name(since))
    )
    return f"{what} is due since {when(since)}"


def _fresh(known: KnownWindow) -> Verdict | None:
    window = known.window
    if window.status != "loaded" or window.last_loaded_at is None:
        return None
    as_of = "" if window.data_as_of is None else f" as of {when(window.data_as_of)}"
    has = f"It has {window.row_count or 0:,} rows{as_of}"
    proofs = known.proven_by("loaded", "replayed")
    if window.next_refresh_at is None:
        return Verdict(Cause.FINAL, Severity.FINE, _final(known, has), None, proofs)
    at = window.next_refresh_at
    stopped = _stop_of(known.account)
    then = f", but not while {stopped[1]}" if stopped else ""
    sentence = f"{has}; {known.refresh_name(at)} follows at {when(at)}{then}."
    return Verdict(Cause.FRESH, Severity.FINE, sentence, at, proofs)


def _final(known: KnownWindow, has: str) -> str:
    """Return why a window is not refreshed any more, and how to load it all the same."""
    reason, by_hand = known.window.failure_reason, f"to load it again, run {refresh_command(known)}"
    if reason is None:
        return f"{has}, and no further refresh is scheduled; {by_hand}."
    return (
        f"{has}. They are final: its last refresh failed ({without_stop(reason)}), and is not tried again "
        f"automatically; {by_hand}."
    )


def _not_due_yet(known: KnownWindow) -> Verdict | None:
    at = known.window.next_refresh_at
    if known.window.status != "missing" or at is None or known.window.request_id is not None:
        return None
    sentence = (
        f"It has no data yet, as expected: {known.refresh_name(at)} is the first, at {when(at)}."
    )
    return Verdict(Cause.NOT_DUE_YET, Severity.FINE, sentence, at)


_RULES: tuple[Callable[[KnownWindow], Verdict | None], ...] = (
    _expired,
    _resting,
    _requested,
    _stopped,
    _suspicious,
    _unconfirmed,
    _refused,
    _failed,
    _due,
    _fresh,
    _not_due_yet,
)


def _unknown(known: KnownWindow) -> Verdict:
    window = known.window
    sentence = (
        f"The stored state matches no known cause: window {window.status}, request {window.request_id or 'none'}, "
        f"next refresh {when(window.next_refresh_at) if window.next_refresh_at else 'none'}; to load it again, run {refresh_command(known)}."
    )
    proofs = tuple(dict.fromkeys(reference.session_id for reference in known.facts.references[-1:]))
    return Verdict(Cause.UNKNOWN, Severity.ERROR, sentence, None, proofs)


def _is_fresh(known: KnownWindow) -> bool:
    window = known.window
    return window.status == "loaded" and window.suspicious_digest is None and not known.is_due


def _stop_of(account: AccountFacts) -> tuple[Cause, str, str] | None:
    """Return why an account is stopped: the cause, a clause about it, and what to do; None if it isn't."""
    if account.paused:
        resume = f"`bidbeacon accounts resume {account.account_key}` resumes it"
        return Cause.ACCOUNT_PAUSED, f"the account is paused{_by_whom(account)}", resume
    if account.amazon_status == "DISABLED":
        return (
            Cause.ACCOUNT_DISABLED_AT_AMAZON,
            "Amazon has disabled the account",
            "refreshes resume when Amazon enables it",
        )
    if account.needs_attention is None:
        return None
    if account.needs_attention_for == "credentials":
        reason = f"Amazon refuses our credentials ({without_stop(account.needs_attention)})"
        return (
            Cause.CREDENTIALS_NEED_ATTENTION,
            reason,
            "refreshes of all accounts resume when Amazon accepts them",
        )
    reason = f"the account needs attention ({without_stop(account.needs_attention)})"
    return Cause.ACCOUNT_NEEDS_ATTENTION, reason, "it goes on after that"


def _by_whom(account: AccountFacts) -> str:
    if account.paused_by is None or account.paused_at is None:
        return ""
    return f" (by {account.paused_by}, since {when(account.paused_at)})"


def _stop_verdict(
    facts: WindowFacts, cause: Cause, reason: str, what_to_do: str, kept: str
) -> Verdict:
    severity = Severity.WARNING if cause is Cause.ACCOUNT_PAUSED else Severity.ERROR
    sentence = f"It is not requested: {reason}; {what_to_do}. {kept}."
    return Verdict(
        cause,
        severity,
        sentence,
        None,
        last_sessions(facts, ("loaded", "failed", "needs-attention")),
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
