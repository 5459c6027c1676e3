"""What Amazon serves an ads account: the registry with its overrides, which reports that makes, and which days of a refused one are requested again."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidbeacon_pipelines.causes import cause
from bidbeacon_pipelines.contract.rules import Contract, check_override, make_contract
from bidbeacon_pipelines.datasets import registry
from bidbeacon_pipelines.requests.refusals import halves, is_too_large, should_be_apart
from bidbeacon_pipelines.requests.rules import FailureKind, RequestFailure

SP, SB, SD = "SPONSORED_PRODUCTS", "SPONSORED_BRANDS", "SPONSORED_DISPLAY"
TODAY = date(2026, 1, 15)


def day(ago: int) -> date:
    """Return the day so many days before today."""
    return TODAY - timedelta(days=ago)


def names(contract: Contract, *datasets: str) -> list[str]:
    """Return the names of the reports of all datasets, or of some."""
    chosen = [one for one in registry.ALL_DATASETS if not datasets or one.name in datasets]
    return [report.name for dataset in chosen for report in contract.reports(dataset)]


def test_reports_by_the_campaigns_that_there_are() -> None:
    """All of the registry; for an account without Brands and Display the first of each dataset."""
    every = [report.name for dataset in registry.ALL_DATASETS for report in dataset.reports]
    assert every == names(Contract()) == names(Contract(products={SP, SB, SD}))
    first = [dataset.reports[0].name for dataset in registry.ALL_DATASETS]
    assert first == names(Contract(products={SP})) == names(Contract(products=set()))
    assert ["SP+SD", "SB"] == names(Contract(products={SB, SD}), registry.DAILY_PRODUCTS.name)
    assert ["SB", "SD"] == names(
        Contract(products={SB, SD}), registry.DAILY_PURCHASED_PRODUCTS.name
    )


def test_overrides_of_an_ads_account_count_more_than_those_of_its_region() -> None:
    """Each is of one report, or field, of one dataset."""
    own = {"dataset": "daily_products", "account_id": "one", "subject": "period:SB", "value": "10"}
    others = {"account_id": None, "value": "20"}
    contract = make_contract(
        [
            own,
            own | others,
            own | others | {"subject": "history:SB"},
            own | others | {"subject": "field:campaign.id", "value": "campaign.number"},
            own
            | others
            | {"dataset": "daily_campaigns", "subject": "grouping", "value": "SP,SB+SD"},
        ],
        None,
    )
    combined, brands = contract.reports(registry.DAILY_PRODUCTS)
    assert (10, 20) == (brands.longest_period_days, brands.history_days)
    assert (120, None) == (combined.longest_period_days, combined.history_days)
    assert {"campaign.id": "campaign.number"} == contract.spellings(registry.DAILY_PRODUCTS)
    assert {} == contract.spellings(registry.DAILY_TARGETS)
    assert ["SP", "SB+SD"] == names(contract, registry.DAILY_CAMPAIGNS.name)


@pytest.mark.parametrize(
    ("what", "value", "expected"),
    [
        ("grouping", "SP,SB", "each of SP, SD, SB once"),
        ("grouping", "SP,SB,SB+SD", "each of SP, SD, SB once"),
        ("grouping", "SP,Brands+SD", "ad products such as SP or SP\\+SB, got: 'Brands\\+SD'"),
        ("history:SB", "0", "a number of days, 1 to 9999, got: '0'"),
        ("period:SB", "ten", "a number of days, 1 to 9999, got: 'ten'"),
        ("field:nothing", "x", "a field of daily_products, got: 'nothing'"),
        ("field:metric.sales", "sales", "a field name such as metric.sales, got: 'sales'"),
        ("field:metric.sales", "hour.value", "a field name such as metric.sales, got"),
        ("field:campaign.id", "metric.x", "a field name such as campaign.id, got"),
        ("field:metric.sales", "metric. sales", "a field name such as metric.sales, got"),
        ("field:metric.sales", "metric.purchases", "no other field of daily_products has, got"),
        ("field:campaign.id", "campaignCountry.value", "no other field of daily_products has"),
        ("products", "SP", "expected a subject"),
    ],
)
def test_what_can_not_be_overridden(what: str, value: str, expected: str) -> None:
    """The message says what is expected; a grouping is a region's."""
    with pytest.raises(ValueError, match=expected):
        check_override(registry.DAILY_PRODUCTS, what, value)
    with pytest.raises(ValueError, match="be set only for a region"):
        check_override(registry.DAILY_PRODUCTS, "grouping", "SP,SB,SD", of_one=True)


@pytest.mark.parametrize("name", ["campaign.region", "campaignCountry.value", "campaign.country"])
def test_a_field_can_have_any_name_that_no_other_has(name: str) -> None:
    """One that only Amazon knows, its other name in the registry, and its own."""
    check_override(registry.DAILY_PRODUCTS, "field:campaign.country", name)


@given(st.integers(0, 119), st.integers(0, 119))
def test_halves_of_a_refused_report(start: int, length: int) -> None:
    """They have all of its days once, the younger half first; a day has none."""
    first, last = day(start + length), day(start)
    parts = halves(first, last)
    if length == 0:
        assert [] == parts
        return
    (middle, end), (begin, before) = parts
    assert (first, last, middle) == (begin, end, before + timedelta(days=1))
    assert abs((end - middle) - (before - begin)) <= timedelta(days=1)


def test_failures_that_a_shorter_report_or_another_grouping_may_help() -> None:
    """A size that Amazon names, or the longest period failing always; refused fields of several ad products, or one day too large."""
    large = RequestFailure(FailureKind.TOO_LARGE, cause("report-too-large"))
    failed = RequestFailure(FailureKind.REPORT_FAILED, cause("report-failed", status="FAILED"))
    assert is_too_large(large, days=2, longest_days=9)
    assert [True, False] == [is_too_large(failed, days=n, longest_days=9) for n in (9, 8)]
    union = RequestFailure(FailureKind.REJECTED, cause("fields-refused-together"))
    assert should_be_apart(union, [SP, SB], days=9)
    assert [True, False] == [should_be_apart(large, [SP, SB], days=n) for n in (1, 2)]
    assert not should_be_apart(union, [SP], days=9)
    assert not should_be_apart(failed, [SP, SB], days=1)
