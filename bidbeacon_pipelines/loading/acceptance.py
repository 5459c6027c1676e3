"""The decision whether a checked report may replace the data of a window, without I/O."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from bidbeacon_pipelines.causes import Cause, cause
from bidbeacon_pipelines.datasets.fields import product_name

LOST_ROWS_DIVISOR = 10
"""A report with fewer than a tenth of the previous rows is suspicious."""
FIRST_SUSPICIOUS_PAUSE = timedelta(minutes=15)
LONGEST_SUSPICIOUS_PAUSE = timedelta(hours=24)


BadRows = Counter[str]
"""The number of invalid rows by fault."""


def is_too_bad(bad_rows: BadRows, good_rows: int, limit: float) -> bool:
    """Return whether the share of bad rows exceeds `limit`.

    `good_rows` is the number of valid rows before rows with the same key are summed.
    """
    return bad_rows.total() > limit * (good_rows + bad_rows.total())


@dataclass(frozen=True)
class Totals:
    """The row count and the spend of a window; `spend` is None if the dataset has no spend."""

    rows: int
    spend: Decimal | None

    def __add__(self, other: "Totals") -> "Totals":
        """Return the sum of the totals of two windows."""
        spend = None if self.spend is None or other.spend is None else self.spend + other.spend
        return Totals(self.rows + other.rows, spend)


@dataclass(frozen=True)
class ProductTally:
    """Counts and sums of one ad product in a window.

    Attributes:
        old_rows: Rows in the dataset's table before the load.
        rows: Rows in the report after rows with the same key are summed.
        read_rows: Rows in the report before rows with the same key are summed.
        unresolved: Rows in the report with an unknown target.
        spend: Spend in the report, in the account's currency.
        sales: Sales in the report, in the account's currency.
    """

    old_rows: int
    rows: int
    read_rows: int
    unresolved: int
    spend: Decimal
    sales: Decimal


@dataclass(frozen=True)
class WindowTally:
    """Counts and sums of a report for one window, by ad product and in total."""

    products: Mapping[str, ProductTally]

    def total(self, name: str) -> Any:
        """Return the sum of an attribute over all ad products."""
        return sum(getattr(product, name) for product in self.products.values())

    @property
    def totals(self) -> Totals:
        """The rows and spend of the report for the window."""
        return Totals(self.total("rows"), self.total("spend"))

    @property
    def lost(self) -> dict[str, ProductTally]:
        """The ad products with fewer than a tenth as many rows in the report as in the table."""
        return {
            name: product
            for name, product in self.products.items()
            if product.rows * LOST_ROWS_DIVISOR < product.old_rows
        }

    @property
    def values(self) -> dict[str, Any]:
        """The totals as columns of `report_windows`."""
        products = (
            f'"{name}": {{"rows": {one.rows}, "spend": {one.spend:f}, "sales": {one.sales:f}}}'
            for name, one in self.products.items()
        )
        names = ("rows", "unresolved", "spend", "sales")
        return {name: self.total(name) for name in names} | {
            "products": f"{{{', '.join(products)}}}"
        }


@dataclass(frozen=True)
class Accept:
    """The verdict to load a report. If `is_silent`, two reports lacked the expected rows."""

    is_silent: bool = False


@dataclass(frozen=True)
class Suspicious:
    """The verdict to keep the old data until another report confirms the loss of rows.

    If only some ad products lost nearly all rows, `ad_products` lists these, and both row counts
    include only their rows.
    """

    old_rows: int
    new_rows: int
    ad_products: tuple[str, ...] = ()

    @property
    def cause(self) -> Cause:
        """The cause stored for the window: the ad products that lost rows, and both row counts."""
        products = [product_name(name) for name in self.ad_products] or None
        detail = {"new_rows": self.new_rows, "old_rows": self.old_rows}
        return cause("rows-lost", ad_products=products, detail=detail)

    def plus(self, other: "Suspicious") -> "Suspicious":
        """Return the joint verdict on two windows with the same cause: add the row counts."""
        rows = self.old_rows + other.old_rows, self.new_rows + other.new_rows
        return Suspicious(*rows, self.ad_products)


@dataclass(frozen=True)
class NeedsDecision:
    """The verdict to keep final data until a user accepts or rejects the loss of rows.

    `account` is the account's key, and `dataset` is the dataset's name. `old` has the totals of the
    final data, and `new` has those of the report.
    """

    account: str
    dataset: str
    currency: str
    old: Totals
    new: Totals

    @property
    def cause(self) -> Cause:
        """The cause stored for the window: rows and spend of the final data and of the report."""
        detail: dict[str, Any] = {"new_rows": self.new.rows, "old_rows": self.old.rows}
        for name, spend in (("old_spend", self.old.spend), ("new_spend", self.new.spend)):
            detail[name] = None if spend is None else f"{spend:,.2f} {self.currency}"
        of = {"account": self.account, "dataset": self.dataset}
        return cause("final-rows-lost", **of, detail=detail)

    def plus(self, other: "NeedsDecision") -> "NeedsDecision":
        """Return the joint verdict on two windows with the same cause: add rows and spend."""
        return replace(self, old=self.old + other.old, new=self.new + other.new)


@dataclass(frozen=True)
class Refuse:
    """The verdict to keep the old data, because too many rows are invalid.

    `good_rows` is the number of valid rows before rows with the same key are summed. If too many
    rows have no readable date, or no readable country, all windows of the account get this verdict,
    and `is_whole_report` is true.
    """

    bad_rows: BadRows
    good_rows: int
    is_whole_report: bool = False

    @property
    def cause(self) -> Cause:
        """The cause stored for the window: share of bad rows, and the two most frequent faults."""
        bad = self.bad_rows.total()
        rows = self.good_rows + bad
        faults = [f"{count:,} × {fault}" for fault, count in self.bad_rows.most_common(2)]
        code = "rows-undated" if self.is_whole_report else "rows-invalid"
        detail = {"bad": bad, "rows": rows, "share": bad / rows, "faults": faults or None}
        return cause(code, detail=detail)

    def plus(self, other: "Refuse") -> "Refuse":
        """Return the joint verdict on two windows: summed counts, or `self` for a whole report."""
        if self.is_whole_report:
            return self
        return Refuse(self.bad_rows + other.bad_rows, self.good_rows + other.good_rows)


@dataclass(frozen=True)
class Unconfirmed:
    """The verdict that all expected rows are missing; another report has to confirm this."""

    cause: Cause = field(default_factory=partial(cause, "rows-missing"))

    def plus(self, _other: "Unconfirmed") -> "Unconfirmed":
        """Return the joint verdict on two windows: `self`, since these verdicts are all equal."""
        return self


Verdict = Accept | Suspicious | NeedsDecision | Refuse | Unconfirmed


def decide_load(
    tally: WindowTally,
    bad_rows: BadRows,
    *,
    bad_share_limit: float,
    earlier: str | None,
    digest: str,
    should_have_rows: bool = False,
    is_final: bool = False,
    is_accepted: bool = False,
) -> Accept | Suspicious | Refuse | Unconfirmed:
    """Decide whether a report replaces the data of one window.

    Args:
        tally: The counts and sums of the table and of the report for this window.
        bad_rows: Invalid rows of the window. Rows without a readable date are judged elsewhere, for
            the whole report.
        bad_share_limit: The largest accepted share of bad rows among all rows, 0 to 1.
        earlier: The digest of the previous report for this window, if that report was suspicious or
            unconfirmed, else None.
        digest: The digest of this report's rows, from `loading.staging.digest_window`.
        should_have_rows: Whether the country has deliverable campaigns, but the window was never
            loaded and the report has no row of the country.
        is_final: Whether the window's data is final; a second report then can't confirm a loss.
        is_accepted: Whether a user has accepted the loss of rows.
    """
    old_rows, new_rows, read_rows = map(tally.total, ("old_rows", "rows", "read_rows"))
    if is_too_bad(bad_rows, read_rows, bad_share_limit):
        return Refuse(bad_rows, read_rows)
    if should_have_rows:
        return Accept(is_silent=True) if earlier == digest else Unconfirmed()
    kept_rows = not tally.lost and new_rows * LOST_ROWS_DIVISOR >= old_rows
    is_confirmed = earlier == digest and not is_final
    if kept_rows or is_confirmed or is_accepted:
        return Accept()
    lost = {name: one for name, one in tally.lost.items() if one.old_rows != old_rows}
    if lost:
        old_rows = sum(one.old_rows for one in lost.values())
        new_rows = sum(one.rows for one in lost.values())
    return Suspicious(old_rows, new_rows, tuple(lost))


def suspicious_pause(suspicious_before: int) -> timedelta:
    """Return the pause before a suspicious report is requested again; it grows each time."""
    grown: timedelta = FIRST_SUSPICIOUS_PAUSE * 4 ** min(suspicious_before, 10)
    return min(grown, LONGEST_SUSPICIOUS_PAUSE)
