"""Hand-made reports loaded into a real database: what the tables say afterwards."""

from datetime import timedelta
from decimal import Decimal

import pytest

from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_pipelines.values.decode import BrokenPartError, read_object
from tests.postgres.load_world import (
    ASKED_AGAIN_AT,
    CAMPAIGN,
    DAY,
    KEYWORD,
    NEXT_AT,
    PRODUCT,
    LoadWorld,
    many_rows,
    report_row,
    target,
)
from tests.support.rows import add_account

METRICS = "impressions, clicks, orders, sales, spend, units"
NEXT_DAY = DAY + timedelta(days=1)


def test_a_row_is_stored_to_its_last_decimal(shelf: LoadWorld) -> None:
    """Amounts keep their six decimals, and window and result carry their sums."""
    result = shelf.load([report_row()])
    row = shelf.row()
    assert KEYWORD == row["target_id"]
    assert (row["impressions"], row["clicks"], row["orders"]) == (100, 5, 1)
    assert (row["sales"], row["spend"]) == (Decimal("19.99"), Decimal("1.234567"))
    window = shelf.window()
    assert (window.status, window.row_count, window.load_count) == ("loaded", 1, 1)
    assert (window.spend, window.sales, window.next_refresh_at) == (
        row["spend"],
        row["sales"],
        NEXT_AT,
    )
    assert (result.rows, result.spend) == (1, row["spend"])


def test_ids_beyond_a_float_and_large_yen_are_exact(shelf: LoadWorld) -> None:
    """2^53 + 1 as an id, and amounts of 10 digits before the point, come out as they went in."""
    yen = {"budgetCurrency.value": "JPY", "metric.sales": 9_999_999_999}
    shelf.load(
        [
            report_row()
            | yen
            | {"campaign.id": 2**53 + 1, "metric.totalCost": Decimal("9999999999.999999")}
        ]
    )
    row = shelf.row()
    assert (row["campaign_id"], row["currency_code"]) == ("9007199254740993", "JPY")
    assert (row["sales"], row["spend"]) == (
        Decimal(9_999_999_999),
        Decimal("9999999999.999999"),
    )


def test_a_null_metric_stays_null_and_zero_stays_zero(shelf: LoadWorld) -> None:
    """What was not reported is told apart from what was measured as nothing."""
    shelf.load([report_row(purchases=None, sales=None, totalCost=0)])
    row = shelf.row(METRICS)
    assert (row["orders"], row["sales"], row["spend"]) == (None, None, Decimal(0))


def test_loading_the_same_twice_rewrites_nothing(shelf: LoadWorld) -> None:
    """The rows keep their place on disk and their transaction; nothing is restated."""
    shelf.load(many_rows(30))
    before = shelf.rows_as_written()
    result = shelf.load(many_rows(30), age=2)
    assert before == shelf.rows_as_written()
    assert (result.merge.vanished, result.merge.restated) == (0, 0)
    assert shelf.query("SELECT * FROM restatements") == []
    assert (shelf.window().load_count, shelf.window().row_count) == (2, 30)


def test_a_later_report_writes_only_what_changed_and_says_what(shelf: LoadWorld) -> None:
    """One row changed, one vanished, one appeared: three restatements with old and new values, and one untouched row."""
    shelf.load(
        [report_row(), report_row() | {"campaign.id": 71}, report_row() | {"campaign.id": 72}]
    )
    untouched = shelf.rows_as_written()[2]
    result = shelf.load(
        [
            report_row(purchases=2, sales=Decimal("39.98")),
            report_row() | {"campaign.id": 72},
            report_row() | {"campaign.id": 73},
        ],
        age=2,
    )
    found = {
        row["dimensions"]["campaign_id"]: row for row in shelf.query("SELECT * FROM restatements")
    }
    assert {CAMPAIGN: "changed", "71": "vanished", "73": "appeared"} == {
        ad: row["change"] for ad, row in found.items()
    }
    assert (1, 2) == (
        found[CAMPAIGN]["old_values"]["orders"],
        found[CAMPAIGN]["new_values"]["orders"],
    )
    assert (found["71"]["new_values"], found["73"]["old_values"]) == (None, None)
    assert (
        timedelta(days=2) == found[CAMPAIGN]["new_data_as_of"] - found[CAMPAIGN]["old_data_as_of"]
    )
    assert [CAMPAIGN, "72", "73"] == [row["campaign_id"] for row in shelf.rows()]
    assert untouched in shelf.rows_as_written()
    assert (result.merge.vanished, result.merge.restated) == (1, 3)


def test_a_first_load_restates_nothing(shelf: LoadWorld) -> None:
    """Rows that come with a window's first report have not appeared late."""
    shelf.load(many_rows(3))
    assert shelf.query("SELECT * FROM restatements") == []


@pytest.mark.parametrize("left", [0, 1])
def test_a_report_that_lost_nearly_everything_is_suspicious_until_it_comes_again(
    shelf: LoadWorld, left: int
) -> None:
    """The old rows stay, the window is asked for again soon, and the second equal report is believed."""
    shelf.load(many_rows(11))
    second = shelf.load(many_rows(left), age=2)
    window = shelf.window()
    assert [DAY] == list(second.suspicious)
    assert (window.status, window.load_count, window.suspicious_rows) == ("loaded", 1, left)
    assert window.next_refresh_at == ASKED_AGAIN_AT
    assert cause("rows-lost", detail={"new_rows": left, "old_rows": 11}) == window.cause
    assert len(shelf.rows()) == 11
    believed = shelf.load(many_rows(left), age=3)
    assert [DAY] == believed.loaded
    assert (len(shelf.rows()), shelf.window().suspicious_digest) == (left, None)
    assert 11 - left == len(shelf.query("SELECT * FROM restatements WHERE change = 'vanished'"))


def test_a_suspicious_report_is_not_confirmed_by_a_different_one(shelf: LoadWorld) -> None:
    """A second report that lost nearly everything in another way is suspicious in its turn."""
    shelf.load(many_rows(30))
    shelf.load(many_rows(0), age=2)
    assert [DAY] == list(shelf.load(many_rows(1), age=3).suspicious)
    assert (len(shelf.rows()), shelf.window().suspicious_rows) == (30, 1)


def test_an_empty_first_report_is_loaded(shelf: LoadWorld) -> None:
    """A day without traffic is a day that is known."""
    shelf.load([])
    assert (shelf.window().status, shelf.window().row_count) == ("loaded", 0)


def test_too_many_bad_rows_refuse_a_window_and_keep_its_data(shelf: LoadWorld) -> None:
    """With 3 % of bad rows the old rows stay; the cause counts them; the other day of the report is loaded."""
    shelf.load(many_rows(20))
    rows = many_rows(97) + [report_row(clicks=-1)] * 3 + many_rows(5, NEXT_DAY)
    result = shelf.load(rows, days=[DAY, NEXT_DAY], age=2)
    window = shelf.window()
    assert (window.status, len(shelf.rows())) == ("failed", 20)
    assert explain(window.cause).sentence == (
        "3 of 100 rows (3.0%) failed validation (3 × metric.clicks: expected a whole number from 0 to below 10^12, or null)."
    )
    assert (result.loaded, list(result.refused)) == ([NEXT_DAY], [DAY])
    assert len(shelf.rows(day=NEXT_DAY)) == 5


def test_bad_rows_are_counted_like_the_good_ones_before_summing(shelf: LoadWorld) -> None:
    """One bad row beside 99 rows of one key is 1 % of the rows, and no reason to refuse the window."""
    result = shelf.load([*[report_row()] * 99, report_row(clicks=-1)])
    assert (1, 1, [DAY]) == (result.rows, result.quarantined, result.loaded)


@pytest.mark.parametrize("again", [False, True])
def test_rows_without_a_date_spoil_no_window(shelf: LoadWorld, *, again: bool) -> None:
    """Two percent of undated rows among many windows are two percent of each report, not half of each window."""
    days = [DAY, NEXT_DAY]
    good = [*many_rows(49), *many_rows(49, NEXT_DAY)]
    if again:
        shelf.load(good, days=days)
    result = shelf.load([*good, *[report_row(day="yesterday")] * 2], days=days, age=2)
    assert (days, 2) == (result.loaded, result.quarantined)
    assert 0 == shelf.window().quarantined_count


def test_too_many_rows_without_a_date_refuse_the_report(shelf: LoadWorld) -> None:
    """Every window keeps its old rows, for one cause."""
    days = [DAY, NEXT_DAY]
    good = [*many_rows(49), *many_rows(48, NEXT_DAY)]
    result = shelf.load([*good, *[report_row(day="")] * 3], days=days)
    assert [] == result.loaded
    assert {
        "3 of 100 rows (3.0%) of the report had no readable date or country (3 × date.value: expected a date YYYY-MM-DD)."
    } == {explain(verdict.cause).sentence for verdict in result.refused.values()}


def test_few_bad_rows_are_set_aside_and_the_good_ones_loaded(shelf: LoadWorld) -> None:
    """A bad row is kept as it came, with its place and a cause that names field, expectation and value."""
    shelf.load([*many_rows(99), report_row(clicks=-1)])
    [bad] = shelf.query("SELECT * FROM quarantined_rows")
    assert (len(shelf.rows()), shelf.window().quarantined_count) == (99, 1)
    assert (bad["row_number"], bad["window_date"]) == (99, DAY)
    assert (
        explain(bad["cause"]).sentence
        == "metric.clicks: expected a whole number from 0 to below 10^12, or null, got: -1."
    )
    assert report_row(clicks=-1) == read_object(bad["raw"])


@pytest.mark.parametrize("text", ["a\x00b", "half a pair: \ud83d"])
def test_text_that_postgres_cannot_hold_is_set_aside_without_loss(
    shelf: LoadWorld, text: str
) -> None:
    """NUL and a lone surrogate in a name reach the quarantine, and come back from it as they were."""
    shelf.load([*many_rows(99), report_row() | {"target.value": text}])
    [bad] = shelf.query("SELECT raw, cause FROM quarantined_rows")
    assert text == read_object(bad["raw"])["target.value"]
    assert "text without NUL and lone surrogates" in str(bad["cause"])


def test_the_next_report_replaces_what_the_last_one_set_aside(shelf: LoadWorld) -> None:
    """Bad rows do not pile up, whether or not their day can be read."""
    bad = [report_row(clicks=-1), report_row(day="2026-02-30")]
    shelf.load(many_rows(198) + bad)
    shelf.load(many_rows(198) + bad, age=2)
    assert len(shelf.query("SELECT * FROM quarantined_rows")) == 2
    shelf.load(many_rows(198), age=4)
    assert shelf.query("SELECT * FROM quarantined_rows") == []


def test_an_undated_bad_row_outlives_a_report_of_fewer_days(shelf: LoadWorld) -> None:
    """It may be of a day that the later report does not have, so only a report of all its days replaces it."""
    shelf.load(
        [*many_rows(99), *many_rows(99, NEXT_DAY), report_row(day="2026-02-30")],
        days=[DAY, NEXT_DAY],
    )
    shelf.load(many_rows(99), age=2)
    assert len(shelf.query("SELECT * FROM quarantined_rows")) == 1


def test_rows_with_one_key_are_summed(shelf: LoadWorld) -> None:
    """Two rows of one ad and target are one row in the table; null adds nothing."""
    shelf.load([report_row(), report_row(clicks=2, sales=None, totalCost=Decimal("0.000001"))])
    row = shelf.row(METRICS)
    assert (row["impressions"], row["clicks"], row["orders"]) == (200, 7, 2)
    assert (row["sales"], row["spend"]) == (Decimal("19.99"), Decimal("1.234568"))


def test_two_spellings_of_one_target_are_two_rows_of_it(shelf: LoadWorld) -> None:
    """Letter case and blanks apart, a row is the same target's; it stays the row that was reported."""
    shelf.load([report_row("dog shirt"), report_row("Dog  Shirt")])
    rows = shelf.rows("target_id, clicks")
    assert [(KEYWORD, 5), (KEYWORD, 5)] == [(row["target_id"], row["clicks"]) for row in rows]


def test_rows_of_other_ad_products_stay_as_they_are(shelf: LoadWorld) -> None:
    """A report touches rows of the ad products only that it was asked for, and so do its window's totals."""
    shelf.load([report_row()])
    brands = report_row() | {"adProduct.value": "Sponsored Brands"}
    result = shelf.load([brands], ad_products=["SPONSORED_BRANDS"], age=1)
    assert 0 == result.merge.vanished
    assert ["SPONSORED_BRANDS", "SPONSORED_PRODUCTS"] == sorted(
        row["ad_product"] for row in shelf.rows()
    )
    assert [(1, Decimal("1.234567"))] * 2 == [
        (window.row_count, window.spend) for window in shelf.windows()
    ]
    gone = shelf.load([], ad_products=["SPONSORED_BRANDS"], age=2)
    assert [DAY] == list(gone.suspicious)
    shelf.load([], ad_products=["SPONSORED_BRANDS"], age=3)
    assert "SPONSORED_PRODUCTS" == shelf.row()["ad_product"]


def test_rows_of_other_countries_are_counted_and_left_out(shelf: LoadWorld) -> None:
    """A report of an ads account has all of its countries; only this one's rows are stored."""
    result = shelf.load([report_row(), report_row() | {"campaign.country": "CA", "campaign.id": 9}])
    assert (CAMPAIGN, 1) == (shelf.row()["campaign_id"], result.foreign)


@pytest.mark.parametrize("told", [None, "", False, 0, []])
def test_rows_that_tell_no_country_of_several(shelf: LoadWorld, told: object) -> None:
    """Where the ads account has several countries, a row must say which one it is of."""
    with shelf.engine.begin() as connection:
        add_account(connection, "CA")
    result = shelf.load([*many_rows(50), report_row() | {"campaign.country": told}])
    assert (50, 1) == (result.rows, result.quarantined)


def test_rows_without_a_country_are_judged_by_the_share_of_the_report(shelf: LoadWorld) -> None:
    """Three rows in a thousand refuse nothing, whatever few rows an account has; three in a hundred refuse all."""
    with shelf.engine.begin() as connection:
        add_account(connection, "CA")
    unknown = [report_row() | {"campaign.country": None}] * 3
    canada = [row | {"campaign.country": "CA"} for row in many_rows(990)]
    result = shelf.load([*many_rows(7), *canada, *unknown])
    assert ([DAY], 7, 3) == (result.loaded, result.rows, result.quarantined)
    refused = shelf.load([*many_rows(7), *canada[:90], *unknown], age=2)
    assert [DAY] == list(refused.refused)
    assert "3 of 100 rows (3.0%)" in explain(shelf.window().cause).sentence


def test_rows_of_other_ad_products_are_counted_and_left_out(shelf: LoadWorld) -> None:
    """Rows of products that were not asked for are counted by product; a product nobody knows is quarantined."""
    brands = many_rows(2)
    result = shelf.load(
        [
            report_row(),
            *[
                row | {"adProduct.value": "Sponsored Brands", "target.matchType": None}
                for row in brands
            ],
            report_row() | {"adProduct.value": "Sponsored Display", "campaign.id": 9},
            report_row() | {"adProduct.value": "Sponsored Dreams", "campaign.id": 10},
            *many_rows(50, day=DAY),
        ]
    )
    assert {"SPONSORED_BRANDS": 2, "SPONSORED_DISPLAY": 1} == result.other_products
    assert (51, 1) == (result.rows, result.quarantined)
    assert {"9", "10"}.isdisjoint(row["campaign_id"] for row in shelf.rows())


def test_amounts_in_another_currency_are_stored_and_not_added_up_with_the_accounts(
    shelf: LoadWorld,
) -> None:
    """The window's sums are dollars only, as they say."""
    result = shelf.load([report_row(), report_row() | {"budgetCurrency.value": "CAD"}])
    assert ["CAD", "USD"] == sorted(row["currency_code"] for row in shelf.rows())
    assert (Decimal("1.234567"), Decimal("1.234567")) == (result.spend, shelf.window().spend)


def test_a_negative_target_receives_nothing(shelf: LoadWorld) -> None:
    """A row that only a negative keyword matches stays unresolved."""
    shelf.add_targets(target("3998", negative=True, keyword="cat shirt"))
    shelf.load([report_row("cat shirt")])
    assert shelf.row()["target_id"] is None
    assert shelf.window().unresolved_count == 1


def test_a_product_target_is_found_by_its_expression(shelf: LoadWorld) -> None:
    """`asin="B0…"` is the target of exactly that product."""
    shelf.load([report_row('asin="B000000001"') | {"target.matchType": "TARGETING_EXPRESSION"}])
    assert PRODUCT == shelf.row()["target_id"]


def test_a_cut_part_leaves_everything_as_it_was(shelf: LoadWorld) -> None:
    """Where the second of two parts ends early, nothing of the first is in the tables."""
    shelf.load(many_rows(5))
    before, window = shelf.rows_as_written(), shelf.window()
    parts = [shelf.write_part(many_rows(50)), shelf.write_part(many_rows(50), cut=True)]
    with pytest.raises(BrokenPartError, match="damaged gzip"):
        shelf.load_parts(parts, age=2)
    assert (before, {}) == (shelf.rows_as_written(), shelf.window().changes_from(window))


def test_a_report_of_several_parts_is_loaded_as_one(shelf: LoadWorld) -> None:
    """Rows of one key in two parts are summed, and row numbers of bad rows go on over parts."""
    parts = [
        shelf.write_part([report_row(), *many_rows(99)]),
        shelf.write_part([report_row(), report_row(clicks=-1)]),
    ]
    shelf.load_parts(parts)
    assert [10] == [row["clicks"] for row in shelf.rows() if row["campaign_id"] == CAMPAIGN]
    assert [101] == [
        row["row_number"] for row in shelf.query("SELECT row_number FROM quarantined_rows")
    ]


def test_values_that_could_overflow_a_sum_are_set_aside(shelf: LoadWorld) -> None:
    """Each with its reason; the other rows of its key are loaded, and sums of the largest values are exact."""
    most = {"totalCost": Decimal("9999999999.999999"), "impressions": 10**12 - 1}
    large = [report_row(totalCost=10**10), report_row(impressions=10**12)]
    result = shelf.load([*many_rows(200), *[report_row(**most)] * 30, *large])
    kept = shelf.query("SELECT cause FROM quarantined_rows ORDER BY row_number")
    assert ["metric.totalCost", "metric.impressions"] == [row["cause"]["field"] for row in kept]
    [row] = [row for row in shelf.rows() if row["campaign_id"] == CAMPAIGN]
    assert (30 * most["totalCost"], 30 * most["impressions"]) == (row["spend"], row["impressions"])
    assert (201, 29, 2) == (result.rows, result.summed, result.quarantined)
