"""Whether a checked report may replace the data of a window: the guards against broken and vanished rows. Pure."""

from dataclasses import dataclass

LOST_ROWS_DIVISOR = 10
"""A report with fewer than one row in ten of what was there is held."""


@dataclass(frozen=True)
class HeldReport:
    """An earlier report of the window that was held.

    It must be another report than the one decided about: the same one read twice proves nothing. A hold is stored in the
    transaction that ends its request, so that the request is not read again.

    Attributes:
        digest: What its rows of the window were, from `store.performance.digest_window`.
        rows: How many they were.
    """

    digest: str
    rows: int


@dataclass(frozen=True)
class Accept:
    """Load it.

    Attributes:
        reason: Why.
        is_silent: Whether it is an empty day of a country that should have rows, believed since two reports say so.
    """

    reason: str
    is_silent: bool = False


@dataclass(frozen=True)
class Hold:
    """Keep the old data, remember this report and ask again."""

    reason: str


@dataclass(frozen=True)
class Refuse:
    """Keep the old data; the report can't be trusted."""

    reason: str


@dataclass(frozen=True)
class Unconfirmed:
    """Don't take silence for zero: remember that the report has no rows, and ask once more."""

    reason: str


Verdict = Accept | Hold | Refuse | Unconfirmed


def decide_load(
    old_rows: int,
    new_rows: int,
    bad_rows: int,
    *,
    bad_share_limit: float,
    held_before: HeldReport | None,
    digest: str,
    should_have_rows: bool = False,
) -> Verdict:
    """Decide about one window of a report.

    Args:
        old_rows: Rows the window holds now.
        new_rows: Good rows the report has for it.
        bad_rows: Rows of it that can't be understood; those without a readable date count for every window.
        bad_share_limit: Largest share of bad rows among all rows that is still loaded, 0 to 1.
        held_before: The report that was last held for this window, if it was held.
        digest: What this report's good rows of the window are, from `store.performance.digest_window`.
        should_have_rows: Whether the whole report has no row of the country, though it has deliverable campaigns, and the
            window was never loaded.
    """
    if bad_rows > bad_share_limit * (new_rows + bad_rows):
        share = bad_rows / (new_rows + bad_rows)
        return Refuse(f"{bad_rows} of {new_rows + bad_rows} rows ({share:.1%}) can't be understood")
    if should_have_rows:
        return _judge_silence(held_before, digest)
    if new_rows * LOST_ROWS_DIVISOR >= old_rows:
        return Accept(f"{new_rows} rows in place of {old_rows}")
    if held_before is not None and held_before.digest == digest:
        return Accept(f"{new_rows} rows in place of {old_rows}: a second report says the same")
    return Hold(f"{new_rows} rows where {old_rows} were: waiting for a second report that says the same")


def _judge_silence(held_before: HeldReport | None, digest: str) -> Accept | Unconfirmed:
    if held_before is not None and held_before.digest == digest:
        return Accept("no rows: a second report has none either", is_silent=True)
    return Unconfirmed("no rows of the country, though it has deliverable campaigns: asked for once more")
