"""The answers to the questions of docs/analysis.md, computed in Python from the loaded rows."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.postgres.analysis_world import FINAL, PLACEMENTS, SP, AnalysisWorld, Row

MOST = 20
"""How many rows a ranking has of each currency."""
Answer = list[tuple[Any, ...]]


def total(rows: Iterable[Row], metric: str) -> Decimal | None:
    """Return the sum of a metric; None where no row has it."""
    values = [Decimal(row[metric]) for row in rows if row.get(metric) is not None]
    return sum(values, Decimal(0)) if values else None


def ratio(rows: Sequence[Row], numerator: str, denominator: str, digits: int = 4) -> Decimal | None:
    """Return the rounded quotient of two sums; None where it divides by zero."""
    above, below = total(rows, numerator), total(rows, denominator)
    return rounded(above / below, digits) if above is not None and below else None


def rounded(value: Decimal, digits: int) -> Decimal:
    """Round as PostgreSQL does."""
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def group(rows: Iterable[Row], *columns: str) -> list[tuple[tuple[Any, ...], list[Row]]]:
    """Return rows by the values of columns."""
    found = defaultdict[tuple[Any, ...], list[Row]](list)
    for row in rows:
        found[tuple(row.get(column) for column in columns)].append(row)
    return list(found.items())


def rank(rows: Iterable[tuple[Any, ...]], order: Callable[[tuple[Any, ...]], Any]) -> Answer:
    """Return the first rows of each currency, which they begin with, with their place behind it."""
    answer: Answer = []
    for _, of_currency in group(({"currency": row[0], "row": row} for row in rows), "currency"):
        ranked = sorted((one["row"] for one in of_currency), key=order, reverse=True)
        answer += [(row[0], place, *row[1:]) for place, row in enumerate(ranked[:MOST], start=1)]
    return answer


class Answers:
    """The answers about a world, on its day."""

    def __init__(self, world: AnalysisWorld, today: date) -> None:
        self._world, self._today = world, today

    def all(self) -> dict[int, Answer]:
        """Return the answer to each question, by its number."""
        questions = (
            *(self.products, self.acos, self.new_to_brand, self.unsold_terms, self.placements),
            *(self.hours, self.bought, self.advertised, self.unknown_targets, self.budgets),
            *(self.restated, self.week_ago),
        )
        return {number: question() for number, question in enumerate(questions, start=1)}

    def _rows(self, dataset: str, days: int = 60) -> list[Row]:
        first = self._today - timedelta(days=days)
        return [
            row
            for row in self._world.rows
            if row["dataset"] == dataset and row["window_date"] >= first
        ]

    def _is_final(self, rows: Iterable[Row]) -> bool:
        return all(
            row["dataset"] in FINAL
            and self._world.is_complete(row["dataset"], row["country_code"], row["window_date"])
            for row in rows
        )

    def _rows_of_complete_days(self, dataset: str) -> list[Row]:
        return [
            row
            for row in self._rows(dataset)
            if self._world.is_complete(dataset, row["country_code"], row["window_date"])
        ]

    def _missing(self, dataset: str, country: str, days: int) -> int:
        return sum(
            not self._world.is_complete(dataset, country, self._today - timedelta(days=ago))
            for ago in range(1, days + 1)
        )

    def _name(self, campaign_id: str) -> str:
        return str(self._world.campaigns[campaign_id]["name"])

    def products(self) -> Answer:
        """What did each ad product cost and bring, by country?"""
        days = {"US": 7, "FR": 7, "IT": 7}  # of sellers
        return [
            (
                *(country, product, days.get(country, 14) if product == SP else 14, currency),
                *(total(rows, "spend"), total(rows, "sales"), ratio(rows, "spend", "sales")),
                *(self._world.as_of, self._is_final(rows)),
            )
            for (country, product, currency), rows in group(
                self._rows("daily_campaigns"), "country_code", "ad_product", "currency_code"
            )
        ]

    def acos(self) -> Answer:
        """Which campaigns have the highest ACOS?"""
        rows = [
            (
                *(currency, "One", country, self._name(campaign), product, total(rows, "spend")),
                *(ratio(rows, "spend", "sales"), self._is_final(rows)),
                self._missing("daily_campaigns", country, 30),
            )
            for (currency, country, campaign, product), rows in group(
                self._rows_of_complete_days("daily_campaigns"),
                *("currency_code", "country_code", "campaign_id", "ad_product"),
            )
        ]
        return rank(rows, lambda row: (row[6] is None, row[6], row[5]))

    def new_to_brand(self) -> Answer:
        """Which share of sales came from customers who are new to the brand?"""
        return [
            (
                *(product, currency, total(rows, "new_to_brand_sales"), total(rows, "sales")),
                *(ratio(rows, "new_to_brand_sales", "sales"), self._is_final(rows)),
            )
            for (product, currency), rows in group(
                self._rows("daily_campaigns"), "ad_product", "currency_code"
            )
        ]

    def unsold_terms(self) -> Answer:
        """Which search terms cost most without a single order?"""
        rows = [
            (
                *(currency, country, self._name(campaign), term, total(rows, "clicks")),
                *(total(rows, "spend"), self._is_final(rows)),
                self._missing("daily_search_terms", country, 60),
            )
            for (currency, country, campaign, term), rows in group(
                self._rows_of_complete_days("daily_search_terms"),
                *("currency_code", "country_code", "campaign_id", "search_term"),
            )
            if not total(rows, "orders")
        ]
        return rank(rows, lambda row: row[5])

    def placements(self) -> Answer:
        """How do the placements compare?"""
        return [
            (
                *(product, currency, PLACEMENTS[placement], total(rows, "spend")),
                *(ratio(rows, "clicks", "impressions"), ratio(rows, "spend", "clicks")),
                *(ratio(rows, "spend", "sales"), self._is_final(rows)),
            )
            for (product, currency, placement), rows in group(
                self._rows("daily_placements"), "ad_product", "currency_code", "placement"
            )
        ]

    def hours(self) -> Answer:
        """At which hours of the day do shoppers click and buy?"""
        return [
            (
                *(hour, currency, total(rows, "clicks"), total(rows, "spend")),
                *(total(rows, "sales"), ratio(rows, "sales", "spend", 2), self._world.as_of),
            )
            for (hour, currency), rows in group(
                self._rows("hourly_campaigns"), "hour", "currency_code"
            )
        ]

    def bought(self) -> Answer:
        """What do shoppers buy after a click on another product?"""
        rows = [
            (
                *(currency, country, advertised, bought, total(rows, "orders")),
                *(total(rows, "sales"), self._is_final(rows)),
                self._missing("daily_purchased_products", country, 60),
            )
            for (currency, country, product, advertised, bought), rows in group(
                self._rows_of_complete_days("daily_purchased_products"),
                *("currency_code", "country_code", "ad_product"),
                *("product_id", "purchased_product_id"),
            )
            if product == SP and advertised != bought
        ]
        return rank(rows, lambda row: row[5])

    def advertised(self) -> Answer:
        """Which products cost most, and what do they bring?"""
        rows = [
            (
                *(currency, country, product or "ads without a product", sku),
                *(total(rows, "spend"), total(rows, "sales"), ratio(rows, "spend", "sales")),
                *(self._is_final(rows), self._missing("daily_products", country, 30)),
            )
            for (currency, country, product, sku), rows in group(
                self._rows_of_complete_days("daily_products"),
                *("currency_code", "country_code", "product_id", "sku"),
            )
        ]
        return rank(rows, lambda row: row[4])

    def unknown_targets(self) -> Answer:
        """Which targets does nobody know?"""
        rows = [
            (
                *(currency, country, self._name(campaign), value, match_type),
                *(min(row["window_date"] for row in rows), total(rows, "spend")),
                *(self._world.as_of, self._missing("daily_targets", country, 60)),
            )
            for (currency, country, campaign, value, match_type), rows in group(
                self._rows_of_complete_days("daily_targets"),
                *("currency_code", "country_code", "campaign_id", "target_value", "match_type"),
            )
            if match_type == "EXACT"
        ]
        return rank(rows, lambda row: row[6])

    def budgets(self) -> Answer:
        """Which campaigns use up their daily budget?"""
        answer: Answer = []
        for (country, campaign, day, currency), rows in group(
            self._rows("daily_campaigns", 7),
            *("country_code", "campaign_id", "window_date", "currency_code"),
        ):
            budget, spend = self._world.campaigns[campaign]["budget"], total(rows, "spend")
            assert spend is not None
            if spend >= Decimal("0.9") * budget:
                named = (country, self._name(campaign), day, currency)
                is_final = self._is_final(rows)
                answer.append((*named, spend, budget, rounded(spend / budget, 2), is_final))
        return answer

    def restated(self) -> Answer:
        """Which days changed most after they were first loaded?"""
        rows = []
        for (currency, country, day, product), loaded in group(
            self._rows_of_complete_days("daily_campaigns"),
            *("currency_code", "country_code", "window_date", "ad_product"),
        ):
            before, sales = self._world.sales_before[country, day, product], total(loaded, "sales")
            zone = ZoneInfo(self._world.accounts[country].time_zone)
            age = (self._world.as_of.astimezone(zone).date() - day).days
            found = (currency, country, day, product, 2, age, before, sales, self._world.as_of)
            if sales != before:
                missing = self._missing("daily_campaigns", country, 60)
                rows.append((*found, self._is_final(loaded), missing))
        return rank(rows, lambda row: abs(row[7] - row[6]))

    def week_ago(self) -> Answer:
        """How does yesterday's spend compare with a week ago?"""
        days = [self._today - timedelta(days=ago) for ago in (1, 8)]
        answer: Answer = []
        for currency in ("EUR", "JPY", "USD"):
            of_currency = {
                country
                for country, account in self._world.accounts.items()
                if account.currency_code == currency
            }
            compared = {
                country
                for country in of_currency
                if all(self._world.is_complete("daily_campaigns", country, day) for day in days)
            }
            spent = [
                total(
                    (
                        row
                        for row in self._rows("daily_campaigns")
                        if row["window_date"] == day and row["country_code"] in compared
                    ),
                    "spend",
                )
                for day in days
            ]
            answer.append((currency, len(compared), len(of_currency - compared), *spent))
        return answer

    def weeks(self) -> Answer:
        """How did the last week compare with the week before?"""
        answer: Answer = []
        for country, account in sorted(self._world.accounts.items()):
            last = [self._today - timedelta(days=ago) for ago in range(1, 8)]
            compared = [
                day
                for day in last
                if self._world.is_complete("daily_campaigns", country, day)
                and self._world.is_complete("daily_campaigns", country, day - timedelta(days=7))
            ]
            of_account = [
                row for row in self._rows("daily_campaigns") if row["country_code"] == country
            ]
            spent = [
                total((row for row in of_account if row["window_date"] + late in compared), "spend")
                for late in (timedelta(0), timedelta(days=7))
            ]
            if compared:
                answer.append((account.account_key, account.currency_code, len(compared), *spent))
        return answer
