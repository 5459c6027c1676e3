"""The answers to the questions of docs/how-to/answer-business-questions.md, computed in Python from the loaded rows."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.postgres.analysis_reports import FINAL, PLACEMENTS, SP, Reports, Row

MOST = 20
"""How many rows a ranking has of each currency."""
Answer = list[tuple[Any, ...]]
Groups = list[tuple[tuple[Any, ...], list[Row]]]


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


def group(rows: Iterable[Row], *columns: str) -> Groups:
    """Return rows by the values of columns."""
    found = defaultdict[tuple[Any, ...], list[Row]](list)
    for row in rows:
        found[tuple(row.get(column) for column in columns)].append(row)
    return list(found.items())


def rank(rows: Sequence[tuple[Any, ...]], order: Callable[[tuple[Any, ...]], Any]) -> Answer:
    """Return the first rows of each currency, which they begin with, with their place behind it."""
    answer: Answer = []
    for currency in {row[0] for row in rows}:
        of_currency = [row for row in rows if row[0] == currency]
        ranked = sorted(of_currency, key=order, reverse=True)[:MOST]
        answer += [(currency, place, *row[1:]) for place, row in enumerate(ranked, start=1)]
    return answer


class Answers:
    """The answers about reports, on the day after the last one."""

    def __init__(self, reports: Reports) -> None:
        self._reports, self._today = reports, reports.today

    def all(self) -> dict[int, Answer]:
        """Return the answer to each question, by its number."""
        questions = (
            *(self.products, self.acos, self.new_to_brand, self.unsold_terms, self.placements),
            *(self.hours, self.bought, self.advertised, self.unknown_targets, self.budgets),
            *(self.restated, self.week_ago),
        )
        return {number: question() for number, question in enumerate(questions, start=1)}

    def _groups(self, dataset: str, *columns: str) -> Groups:
        """Return all rows of a dataset, by the values of columns."""
        return group(self._reports.rows_of(dataset), *columns)

    def _ranked(self, dataset: str, *columns: str) -> Groups:
        """Return the rows of complete days of a dataset, by currency, country and columns."""
        rows = [
            row
            for row in self._reports.rows_of(dataset)
            if self._reports.is_complete(dataset, row["country_code"], row["window_date"])
        ]
        return group(rows, "currency_code", "country_code", *columns)

    def _is_final(self, rows: Iterable[Row]) -> bool:
        return all(
            row["dataset"] in FINAL
            and self._reports.is_complete(row["dataset"], row["country_code"], row["window_date"])
            for row in rows
        )

    def _missing(self, dataset: str, country: str, days: int = 60) -> int:
        return sum(
            not self._reports.is_complete(dataset, country, self._ago(ago))
            for ago in range(1, days + 1)
        )

    def _ago(self, days: int) -> date:
        return self._today - timedelta(days=days)

    def _name(self, campaign_id: str) -> str:
        return str(self._reports.campaigns[campaign_id]["name"])

    def products(self) -> Answer:
        """What did each ad product cost and bring, by country?"""
        days = {"US": 7, "FR": 7, "IT": 7}  # of sellers
        columns = ("country_code", "ad_product", "currency_code")
        return [
            (
                *(country, product, days.get(country, 14) if product == SP else 14, currency),
                *(total(rows, "spend"), total(rows, "sales"), ratio(rows, "spend", "sales")),
                *(self._reports.as_of, self._is_final(rows)),
            )
            for (country, product, currency), rows in self._groups("daily_campaigns", *columns)
        ]

    def acos(self) -> Answer:
        """Which campaigns have the highest ACOS?"""
        found = self._ranked("daily_campaigns", "campaign_id", "ad_product")
        rows = [
            (
                *(currency, self._reports.accounts[country].name, country),
                *(self._name(campaign), product, total(rows, "spend")),
                *(ratio(rows, "spend", "sales"), self._is_final(rows)),
                self._missing("daily_campaigns", country, 30),
            )
            for (currency, country, campaign, product), rows in found
        ]
        return rank(rows, lambda row: (row[6] is None, row[6], row[5]))

    def new_to_brand(self) -> Answer:
        """Which share of sales came from customers who are new to the brand?"""
        return [
            (
                *(product, currency, total(rows, "new_to_brand_sales"), total(rows, "sales")),
                *(ratio(rows, "new_to_brand_sales", "sales"), self._is_final(rows)),
            )
            for (product, currency), rows in self._groups(
                "daily_campaigns", "ad_product", "currency_code"
            )
        ]

    def unsold_terms(self) -> Answer:
        """Which search terms cost most without a single order?"""
        found = self._ranked("daily_search_terms", "campaign_id", "search_term")
        rows = [
            (
                *(currency, country, self._name(campaign), term, total(rows, "clicks")),
                *(total(rows, "spend"), self._is_final(rows)),
                self._missing("daily_search_terms", country),
            )
            for (currency, country, campaign, term), rows in found
            if not total(rows, "orders")
        ]
        return rank(rows, lambda row: row[5])

    def placements(self) -> Answer:
        """How do the placements compare?"""
        columns = ("ad_product", "currency_code", "placement")
        return [
            (
                *(product, currency, PLACEMENTS[placement], total(rows, "spend")),
                *(ratio(rows, "clicks", "impressions"), ratio(rows, "spend", "clicks")),
                *(ratio(rows, "spend", "sales"), self._is_final(rows)),
            )
            for (product, currency, placement), rows in self._groups("daily_placements", *columns)
        ]

    def hours(self) -> Answer:
        """At which hours of the day do shoppers click and buy?"""
        return [
            (
                *(hour, currency, total(rows, "clicks"), total(rows, "spend")),
                *(total(rows, "sales"), ratio(rows, "sales", "spend", 2), self._reports.as_of),
            )
            for (hour, currency), rows in self._groups("hourly_campaigns", "hour", "currency_code")
        ]

    def bought(self) -> Answer:
        """What do shoppers buy after a click on another product?"""
        columns = ("ad_product", "product_id", "purchased_product_id")
        rows = [
            (
                *(currency, country, advertised, bought, total(rows, "orders")),
                *(total(rows, "sales"), self._is_final(rows)),
                self._missing("daily_purchased_products", country),
            )
            for (currency, country, product, advertised, bought), rows in self._ranked(
                "daily_purchased_products", *columns
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
            for (currency, country, product, sku), rows in self._ranked(
                "daily_products", "product_id", "sku"
            )
        ]
        return rank(rows, lambda row: row[4])

    def unknown_targets(self) -> Answer:
        """Which targets are unknown?"""
        columns = ("campaign_id", "target_value", "match_type")
        rows = [
            (
                *(currency, country, self._name(campaign), value, match_type),
                *(min(row["window_date"] for row in rows), total(rows, "spend")),
                *(self._reports.as_of, self._missing("daily_targets", country)),
            )
            for (currency, country, campaign, value, match_type), rows in self._ranked(
                "daily_targets", *columns
            )
            if match_type == "EXACT"
        ]
        return rank(rows, lambda row: row[6])

    def budgets(self) -> Answer:
        """Which campaigns use up their daily budget?"""
        answer: Answer = []
        columns = ("country_code", "campaign_id", "window_date", "currency_code")
        for (country, campaign, day, currency), rows in self._groups("daily_campaigns", *columns):
            budget, spend = self._reports.campaigns[campaign]["budget"], total(rows, "spend")
            if day >= self._ago(7) and spend is not None and spend >= Decimal("0.9") * budget:
                named = (country, self._name(campaign), day, currency)
                is_final = self._is_final(rows)
                answer.append((*named, spend, budget, rounded(spend / budget, 2), is_final))
        return answer

    def restated(self) -> Answer:
        """Which days changed most after they were first loaded?"""
        rows, as_of = [], self._reports.as_of
        for (currency, country, day, product), loaded in self._ranked(
            "daily_campaigns", "window_date", "ad_product"
        ):
            before = self._reports.sales_before[country, day, product]
            sales = total(loaded, "sales")
            zone = ZoneInfo(self._reports.accounts[country].time_zone)
            age = (as_of.astimezone(zone).date() - day).days
            if sales != before:
                found = (currency, country, day, product, 2, age, before, sales, as_of)
                missing = self._missing("daily_campaigns", country)
                rows.append((*found, self._is_final(loaded), missing))
        return rank(rows, lambda row: abs(row[7] - row[6]))

    def week_ago(self) -> Answer:
        """How does yesterday's spend compare with a week ago?"""
        days, answer = [self._ago(1), self._ago(8)], []
        for currency in ("EUR", "JPY", "USD"):
            of_currency = {
                country
                for country, account in self._reports.accounts.items()
                if account.currency_code == currency
            }
            compared = {
                country
                for country in of_currency
                if all(self._reports.is_complete("daily_campaigns", country, day) for day in days)
            }
            spent = [self._spend(compared, [day]) for day in days]
            answer.append((currency, len(compared), len(of_currency - compared), *spent))
        return answer

    def weeks(self) -> Answer:
        """How did the last week compare with the week before?"""
        week, answer = timedelta(days=7), []
        for country, account in sorted(self._reports.accounts.items()):
            compared = [
                day
                for day in map(self._ago, range(1, 8))
                if self._reports.is_complete("daily_campaigns", country, day)
                and self._reports.is_complete("daily_campaigns", country, day - week)
            ]
            if compared:
                earlier = [day - week for day in compared]
                spent = [self._spend({country}, days) for days in (compared, earlier)]
                answer.append((account.account_key, account.currency_code, len(compared), *spent))
        return answer

    def _spend(self, countries: set[str], days: Sequence[date]) -> Decimal | None:
        """Return what countries spent on some days."""
        rows = self._reports.rows_of("daily_campaigns")
        found = [
            row for row in rows if row["country_code"] in countries and row["window_date"] in days
        ]
        return total(found, "spend")
