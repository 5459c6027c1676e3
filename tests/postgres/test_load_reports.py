"""Hand-made reports loaded into a real database: what the tables say afterwards."""

from datetime import date, timedelta
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
    LoadWorld,
    many_rows,
    report_row,
)
from tests.support.checking import assert_has
from tests.support.reading import column
from tests.support.rows import add_account

METRICS = "impressions, clicks, orders, sales, spend, units"
NEXT_DAY = DAY + timedelta(days=1)
UNDATED = (
    "3 of 100 rows (3.0%) of the report had no readable date or country "
    "(3 × date.value: expected a date YYYY-MM-DD)."
)


def test_a_row_is_stored_to_its_last_decimal(shelf: LoadWorld) -> None:
    """Amounts keep their six decimals, and window and result carry their sums."""
    result = shelf.load([report_row()])
    row = shelf.row()
    amounts = {"sales": Decimal("19.99"), "spend": Decimal("1.234567")}
    assert_has(row, target_id=KEYWORD, impressions=100, clicks=5, orders=1, **amounts)
    loaded = {"status": "loaded", "load_count": 1, "next_refresh_at": NEXT_AT}
    assert_has(shelf.window(), row_count=1, **loaded, **amounts)
    assert (result.rows, result.spend) == (1, row["spend"])


def test_ids_beyond_a_float_and_large_yen_are_exact(shelf: LoadWorld) -> None:
    """2^53 + 1 as an id, and amounts of 10 digits before the point, come out as they went in."""
    large = {"sales": Decimal(9_999_999_999), "spend": Decimal("9999999999.999999")}
    yen = {"budgetCurrency.value": "JPY", "campaign.id": 2**53 + 1}
    shelf.load([report_row(sales=9_999_999_999, totalCost=large["spend"]) | yen])
    assert_has(shelf.row(), campaign_id="9007199254740993", currency_code="JPY", **large)


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
    vanishing, staying, appearing = (report_row() | {"campaign.id": 71 + n} for n in range(3))
    shelf.load([report_row(), vanishing, staying])
    untouched = shelf.rows_as_written()[2]
    changed = report_row(purchases=2, sales=Decimal("39.98"))
    result = shelf.load([changed, staying, appearing], age=2)
    restatements = shelf.query("SELECT * FROM restatements")
    found = {row["dimensions"]["campaign_id"]: row for row in restatements}
    changes = {ad: row["change"] for ad, row in found.items()}
    assert {CAMPAIGN: "changed", "71": "vanished", "73": "appeared"} == changes
    before_and_after = [found[CAMPAIGN][name]["orders"] for name in ("old_values", "new_values")]
    assert [1, 2] == before_and_after
    assert (found["71"]["new_values"], found["73"]["old_values"]) == (None, None)
    passed = found[CAMPAIGN]["new_data_as_of"] - found[CAMPAIGN]["old_data_as_of"]
    assert timedelta(days=2) == passed
    assert [CAMPAIGN, "72", "73"] == [row["campaign_id"] for row in shelf.rows()]
    assert untouched in shelf.rows_as_written()
    assert (result.merge.vanished, result.merge.restated) == (1, 3)


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
    assert (30, 1) == (len(shelf.rows()), shelf.window().suspicious_rows)


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


@pytest.mark.parametrize(
    ("undated", "loaded", "why"),
    [
        pytest.param(2, [DAY, NEXT_DAY], set(), id="two percent spoil no window"),
        pytest.param(3, [], {UNDATED}, id="more refuse every window"),
    ],
)
def test_rows_without_a_date_are_judged_by_their_share_of_the_report(
    shelf: LoadWorld, undated: int, loaded: list[date], why: set[str]
) -> None:
    """They count for none of its windows, which are refused together, for one cause."""
    good = [*many_rows(49), *many_rows(51 - undated, NEXT_DAY)]
    result = shelf.load([*good, *[report_row(day="yesterday")] * undated], days=[DAY, NEXT_DAY])
    assert (loaded, undated) == (result.loaded, result.quarantined)
    assert why == {explain(verdict.cause).sentence for verdict in result.refused.values()}
    assert not shelf.window().quarantined_count


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


def test_rows_of_other_ad_products_stay_as_they_are(shelf: LoadWorld) -> None:
    """A report touches rows of the ad products only that it was asked for, and so do its window's totals."""
    shelf.load([report_row()])
    brands = report_row() | {"adProduct.value": "Sponsored Brands"}
    result = shelf.load([brands], ad_products=["SPONSORED_BRANDS"], age=1)
    assert 0 == result.merge.vanished
    assert ["SPONSORED_BRANDS", "SPONSORED_PRODUCTS"] == sorted(
        row["ad_product"] for row in shelf.rows()
    )
    assert 2 == len(shelf.windows())
    for window in shelf.windows():
        assert_has(window, row_count=1, spend=Decimal("1.234567"))
    gone = shelf.load([], ad_products=["SPONSORED_BRANDS"], age=2)
    assert [DAY] == list(gone.suspicious)
    shelf.load([], ad_products=["SPONSORED_BRANDS"], age=3)
    assert "SPONSORED_PRODUCTS" == shelf.row()["ad_product"]


def test_rows_without_a_country_are_judged_by_the_share_of_the_report(shelf: LoadWorld) -> None:
    """Three rows in a thousand refuse nothing, whatever few rows an account has; three in a hundred refuse all."""
    add_account(shelf.engine, "CA", shelf.account.account_id)
    unknown = [report_row() | {"campaign.country": None}] * 3
    canada = [row | {"campaign.country": "CA"} for row in many_rows(990)]
    result = shelf.load([*many_rows(7), *canada, *unknown])
    assert ([DAY], 7, 3) == (result.loaded, result.rows, result.quarantined)
    refused = shelf.load([*many_rows(7), *canada[:90], *unknown], age=2)
    assert [DAY] == list(refused.refused)
    assert "3 of 100 rows (3.0%)" in explain(shelf.window().cause).sentence


def test_rows_of_other_ad_products_are_counted_and_left_out(shelf: LoadWorld) -> None:
    """Rows of products that were not asked for are counted by product; a product nobody knows is quarantined."""
    brands = {"adProduct.value": "Sponsored Brands", "target.matchType": None}
    display = {"adProduct.value": "Sponsored Display", "campaign.id": 9}
    unknown = {"adProduct.value": "Sponsored Dreams", "campaign.id": 10}
    others = [report_row() | fields for fields in (brands, brands, display, unknown)]
    result = shelf.load([report_row(), *others, *many_rows(50)])
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
    assert [101] == column(shelf.engine, "SELECT row_number FROM quarantined_rows")


def test_values_that_could_overflow_a_sum_are_set_aside(shelf: LoadWorld) -> None:
    """Each with its reason; the other rows of its key are loaded, and sums of the largest values are exact."""
    cost, impressions = Decimal("9999999999.999999"), 10**12 - 1
    large = [report_row(totalCost=10**10), report_row(impressions=10**12)]
    largest = [report_row(totalCost=cost, impressions=impressions)] * 30
    result = shelf.load([*many_rows(200), *largest, *large])
    kept = shelf.query("SELECT cause FROM quarantined_rows ORDER BY row_number")
    assert ["metric.totalCost", "metric.impressions"] == [row["cause"]["field"] for row in kept]
    [row] = [row for row in shelf.rows() if row["campaign_id"] == CAMPAIGN]
    assert_has(row, spend=30 * cost, impressions=30 * impressions)
    assert (201, 29, 2) == (result.rows, result.summed, result.quarantined)
