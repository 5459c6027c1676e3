"""The data itself: a pure function of seed, account, country, date and age, that changes with age as told."""

from collections.abc import Iterable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidbeacon_sandbox.accounts import MARKETS
from bidbeacon_sandbox.catalog import make_catalog
from bidbeacon_sandbox.entities import AD_PRODUCTS, AdProduct, Catalog, local_hours
from bidbeacon_sandbox.rows import amount_text, from_json, to_json
from bidbeacon_sandbox.traffic import (
    Age,
    Measures,
    day_measures,
    hour_measures,
    term_measures,
)

ACCOUNT = "amzn1.ads-account.g.a"
DAY = date(2026, 1, 10)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The entities of an account large enough for rare things."""
    return make_catalog(1, ACCOUNT, MARKETS["US"], 1500)


def at_age(catalog: Catalog, days: int, day: date = DAY) -> dict[int, Measures]:
    """Return what each slot did on a day, as known at an age, found by slot."""
    return {id(measures.slot): measures for measures in day_measures(catalog, day, Age(days, 24))}


def test_catalog_is_pure() -> None:
    """The same seed, account, country and size make the same entities; another of any makes others."""
    base = make_catalog(1, ACCOUNT, MARKETS["US"], 50)
    others = [
        make_catalog(2, ACCOUNT, MARKETS["US"], 50),
        make_catalog(1, ACCOUNT + "b", MARKETS["US"], 50),
        make_catalog(1, ACCOUNT, MARKETS["CA"], 50),
    ]
    assert base == make_catalog(1, ACCOUNT, MARKETS["US"], 50)
    assert all(base.ad_groups[0].ad_group_id != other.ad_groups[0].ad_group_id for other in others)


@settings(max_examples=20, deadline=None)
@given(
    day=st.dates(date(2024, 1, 1), date(2027, 1, 1)),
    age=st.integers(0, 500),
    seed=st.integers(0, 3),
    product=st.sampled_from(AD_PRODUCTS),
)
def test_days_are_pure(day: date, age: int, seed: int, product: AdProduct) -> None:
    """An account's day is the same whenever and in whatever order it is asked for."""
    one, other = (make_catalog(seed, ACCOUNT, MARKETS["JP"], 30, product) for _ in range(2))
    expected = list(day_measures(one, day, Age(age, 24)))
    list(day_measures(other, day, Age(age + 1, 24)))
    assert expected == list(day_measures(other, day, Age(age, 24)))


def test_size_is_about_what_was_asked(catalog: Catalog) -> None:
    """A day has about as many rows as were asked for."""
    assert 1400 < len(at_age(catalog, 100)) < 1600


def test_impressions_settle_by_day_three(catalog: Catalog) -> None:
    """Impressions and clicks change until a day is three days old, and never after."""
    ages = {age: at_age(catalog, age) for age in (1, 2, 3, 10, 400)}
    traffic = {
        age: {
            key: (row.impressions, row.clicks)
            for key, row in rows.items()
            if key in ages[1] and key in ages[400]
        }
        for age, rows in ages.items()
    }
    assert traffic[1] != traffic[2] != traffic[3]
    assert traffic[3] == traffic[10] == traffic[400]


def test_purchases_grow_in_stages(catalog: Catalog) -> None:
    """Purchases grow at ages 1, 7, 14, 28 and 60, at no other age, and never shrink."""
    stages = (0, 1, 7, 14, 28, 60)
    ages = {age: at_age(catalog, age) for age in (*stages, 2, 6, 13, 27, 59, 61, 400)}
    sums = {age: sum(row.purchases for row in rows.values()) for age, rows in ages.items()}
    assert sorted(sums[age] for age in stages) == [sums[age] for age in stages]
    assert len({sums[age] for age in stages}) == len(stages)
    for early, late in ((7, 13), (14, 27), (28, 59), (60, 61), (60, 400)):
        assert ages[early] == ages[late]
    common = ages[7].keys() & ages[60].keys()
    assert all(ages[7][key].purchases <= ages[60][key].purchases for key in common)


def test_rows_appear_and_vanish(catalog: Catalog) -> None:
    """A few rows appear on day 2 and day 7, a few vanish on day 3, none after."""
    keys = {age: at_age(catalog, age).keys() for age in (1, 2, 3, 6, 7, 60)}
    assert 0 < len(keys[2] - keys[1]) < 30
    assert 0 < len(keys[7] - keys[6]) < 30
    assert 0 < len(keys[2] - keys[3]) < 30
    assert keys[7] == keys[60]


def test_no_day_to_come(catalog: Catalog) -> None:
    """A day that is still to come has no rows."""
    assert at_age(catalog, -1) == {}


@pytest.mark.parametrize(
    ("country", "day", "missing"),
    [
        ("US", date(2026, 3, 8), {2}),
        ("US", date(2026, 11, 1), set()),
        ("DE", date(2026, 3, 29), {2}),
        ("JP", date(2026, 3, 29), set()),
    ],
)
def test_hours_of_a_local_day(country: str, day: date, missing: set[int]) -> None:
    """A local day has each of its hours once; the hour that the clock skips is not among them."""
    assert local_hours(day, MARKETS[country].zone) == [
        hour for hour in range(24) if hour not in missing
    ]
    catalog = make_catalog(1, ACCOUNT, MARKETS[country], 300)
    assert {hour for hour, _ in hour_measures(catalog, day, Age(60, 24))} == set(
        range(24)
    ) - missing


def counts(parts: Iterable[Measures]) -> list[int]:
    """Return the sums of all counts of some measures."""
    return [
        sum(column)
        for column in zip(
            *(
                (part.impressions, part.clicks, part.viewable, *(part.orders or (0,) * 5))
                for part in parts
            ),
            strict=True,
        )
    ]


@pytest.mark.parametrize("product", AD_PRODUCTS)
def test_parts_add_up(product: AdProduct) -> None:
    """Hours and search terms of a row are distinct and add up to it; no part has more of a kind than of all."""
    catalog = make_catalog(1, ACCOUNT, MARKETS["US"], 1500, product)
    hours: dict[int, list[tuple[int, Measures]]] = {}
    for hour, part in hour_measures(catalog, DAY, Age(60, 24)):
        hours.setdefault(id(part.slot), []).append((hour, part))
        assert max(part.clicks, part.viewable) <= part.impressions
        if part.orders:
            assert max(part.orders) == part.orders.purchases
    for key, whole in at_age(catalog, 60).items():
        for parts in (hours[key], term_measures(whole)):
            assert len({number for number, _ in parts}) == len(parts)
            assert counts(part for _, part in parts) == counts([whole])


def test_a_large_catalog_has_unique_ids() -> None:
    """Among many thousand entities no id comes twice, and all fit 64 bits."""
    catalog = make_catalog(3, ACCOUNT, MARKETS["US"], 50_000)
    ids = [
        *(campaign.campaign_id for campaign in catalog.campaigns),
        *(group.ad_group_id for group in catalog.ad_groups),
        *(ad.ad_id for ad in catalog.ads),
        *(target.target_id for target in catalog.targets),
    ]
    assert len(ids) == len(set(ids)) > 10_000
    assert all(10**14 <= int(number) < 2**63 for number in ids)


@given(st.integers(0, 10**18))
def test_amounts_keep_every_digit(micros: int) -> None:
    """An amount's text is exactly the amount, and comes back from JSON as it was."""
    text = amount_text(micros)
    assert int(from_json(f"[{text}]")[0] * 1_000_000) == micros
    assert to_json(from_json(f"[{text}]")) == f"[{text}]"
