"""The states of a window's ad products where they come in different reports, and the state of the window that follows from them. Pure.

A window whose ad products all come in one report has no states of its own products: each is as the
window is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

_WORST_FIRST = ("failed", "unconfirmed", "missing", "loaded")
NOT_SERVED = "not_served"
"""The status of an ad product that Amazon does not serve for the day, or not any more."""


@dataclass(frozen=True, kw_only=True)
class ProductState:
    """The state of one ad product of a window; the fields are those of the window itself.

    Attributes:
        status: `missing`, `loaded`, `failed`, `unconfirmed` or `not_served`.
        next_refresh_at: When it is due next; None for never.
        data_as_of: When its loaded report was asked for.
        failure_reason: Why it failed or was suspicious.
        suspicious_digest: Of the suspicious report.
        suspicious_rows: Rows of that report.
        suspicious_count: How many suspicious reports came in a row.
    """

    status: str
    next_refresh_at: datetime | None = None
    data_as_of: datetime | None = None
    failure_reason: str | None = None
    suspicious_digest: str | None = None
    suspicious_rows: int | None = None
    suspicious_count: int = 0


States = Mapping[str, ProductState]


@dataclass(frozen=True, kw_only=True)
class WindowAfter:
    """The state of a window after one of its reports.

    Attributes:
        state: Of the window as a whole: it is as its worst product, with the oldest data, and due
            as soon as one product is.
        products_due: The ad products that are asked for next; None for all.
        product_states: Of each ad product, where they differ; None where all are as the window.
        is_still_wanted: Whether a manual request still waits for other ad products.
    """

    state: ProductState
    products_due: tuple[str, ...] | None = None
    product_states: States | None = None
    is_still_wanted: bool = False


def after_report(
    before: States,
    reported: Collection[str],
    outcome: ProductState,
    now: datetime,
    *,
    wanted: Collection[str] = (),
) -> WindowAfter:
    """Return the state of a window after a report of some of its ad products.

    Args:
        before: All ad products that the window is asked for, as they were.
        reported: The ad products of the report.
        outcome: How they are now.
        now: The instant, UTC.
        wanted: The ad products that a manual request waits for.
    """
    states = {
        product: outcome if product in reported else state for product, state in before.items()
    }
    window = _roll_up(list(states.values()))
    still_wanted = [product for product in states if product in wanted and product not in reported]
    alike = all(state == outcome for state in states.values()) and outcome.status != NOT_SERVED
    if alike and not still_wanted:
        return WindowAfter(state=window)
    due_by = now if still_wanted else max(now, window.next_refresh_at or now)
    due = {
        product
        for product, state in states.items()
        if state.next_refresh_at is not None and state.next_refresh_at <= due_by
    }
    asked = tuple(product for product in states if product in due or product in still_wanted)
    return WindowAfter(
        state=window,
        products_due=None if set(asked) in (set(), set(states)) else asked,
        product_states=states,
        is_still_wanted=bool(still_wanted),
    )


def states_before(
    stored: States | None, window: ProductState, products: Sequence[str], reported: Collection[str]
) -> dict[str, ProductState]:
    """Return the states of all ad products of a window, in the order of the registry.

    Args:
        stored: What is stored of each; None where all are as the window.
        window: What is stored of the window itself.
        products: The ad products that its dataset is asked for.
        reported: The ad products of the report; they belong to it whatever else is asked for by
            now.
    """
    every = [*products, *(product for product in reported if product not in products)]
    alike = replace(
        window, status="missing" if window.data_as_of is None else "loaded", failure_reason=None
    )
    return {product: alike if stored is None else stored.get(product, alike) for product in every}


def to_json(states: States | None) -> dict[str, dict[str, Any]] | None:
    """Return states as they are stored: without what is empty, instants as text."""
    if states is None:
        return None
    return {
        product: {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(state).items()
            if value
        }
        for product, state in states.items()
    }


def from_json(stored: Mapping[str, Mapping[str, Any]] | None) -> dict[str, ProductState] | None:
    """Return states as they were stored."""
    if stored is None:
        return None
    return {product: _from_json(dict(values)) for product, values in stored.items()}


def _from_json(values: dict[str, Any]) -> ProductState:
    for name in {"next_refresh_at", "data_as_of"} & values.keys():
        values[name] = datetime.fromisoformat(values[name])
    return ProductState(**values)


def describe_missing(states: States | None, now: datetime) -> str | None:
    """Return which ad products of a window are still to come, and why, in words; None where none is."""
    if states is None:
        return None
    by_reason: dict[str, list[str]] = {}
    for product, state in states.items():
        if state.status not in {"loaded", NOT_SERVED} or state.failure_reason is not None:
            by_reason.setdefault(_to_come(state, now), []).append(product_name(product))
    return (
        ", ".join(
            f"{' and '.join(names)} {_agreed(why, names)}" for why, names in by_reason.items()
        )
        or None
    )


def _agreed(phrase: str, names: Sequence[str]) -> str:
    return (
        f"are {phrase.removeprefix('is ')}"
        if len(names) > 1 and phrase.startswith("is ")
        else phrase
    )


def failed(state: ProductState, reason: str, again_at: datetime | None) -> ProductState:
    """Return the state of an ad product whose report failed or was refused; with data, and not due again, it is final with that data."""
    if again_at is None and state.data_as_of is not None:
        return ProductState(status="loaded", data_as_of=state.data_as_of, failure_reason=reason)
    return replace(state, status="failed", next_refresh_at=again_at, failure_reason=reason)


def unserved(state: ProductState) -> ProductState:
    """Return the state of an ad product from when on Amazon does not serve it; it keeps the data that it has."""
    return ProductState(status=NOT_SERVED, data_as_of=state.data_as_of)


def served_again(state: ProductState, now: datetime) -> ProductState:
    """Return the state of an ad product that may be served after all: due now, with the data that it has."""
    status = "missing" if state.data_as_of is None else "loaded"
    return ProductState(status=status, next_refresh_at=now, data_as_of=state.data_as_of)


def describe_unserved(states: States | None) -> str | None:
    """Return which ad products Amazon does not serve for a window, in words; None where it serves all."""
    names = [
        product_name(product)
        for product, state in (states or {}).items()
        if state.status == NOT_SERVED
    ]
    return (
        f"without {' and '.join(names)}, which Amazon does not serve so far back" if names else None
    )


def product_name(product: str) -> str:
    """Return an ad product's name as people write it: `Sponsored Brands`."""
    return product.replace("_", " ").title()


def _to_come(state: ProductState, now: datetime) -> str:
    if state.failure_reason is not None:
        is_final = state.status == "loaded" and state.suspicious_digest is None
        kept = "not refreshed" if is_final else "suspicious"
        return f"{kept if state.status == 'loaded' else state.status} ({state.failure_reason.rstrip('.')})"
    if state.next_refresh_at is None:
        return "never came"
    return "is still to come" if state.next_refresh_at <= now else "is not due yet"


def _roll_up(every: Sequence[ProductState]) -> ProductState:
    """Return the state of a window: what is not served, and never came, does not count."""
    states = [
        _as_served(state) for state in every if state.status != NOT_SERVED or state.data_as_of
    ]
    if not states:
        return ProductState(status="expired")
    worst = min(states, key=lambda state: _WORST_FIRST.index(state.status))
    described = next(
        (state for state in (worst, *states) if state.failure_reason or state.suspicious_digest),
        worst,
    )
    data = [state.data_as_of for state in states]
    return ProductState(
        status=worst.status,
        next_refresh_at=min(
            (at for state in states if (at := state.next_refresh_at) is not None), default=None
        ),
        data_as_of=None if None in data else min(at for at in data if at is not None),
        failure_reason=described.failure_reason,
        suspicious_digest=described.suspicious_digest,
        suspicious_rows=described.suspicious_rows,
        suspicious_count=described.suspicious_count,
    )


def _as_served(state: ProductState) -> ProductState:
    return replace(state, status="loaded") if state.status == NOT_SERVED else state
