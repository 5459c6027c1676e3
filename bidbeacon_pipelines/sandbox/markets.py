"""The countries Amazon Ads sells in: region, currency, time zone and marketplace id of each."""

from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

Region = Literal["NA", "EU", "FE"]


@dataclass(frozen=True, slots=True)
class Market:
    """One country as the API knows it; `country` is the code accounts use (`GB`, where profiles say `UK`)."""

    country: str
    region: Region
    currency: str
    time_zone: str
    marketplace_id: str | None

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the country's accounts count their days."""
        return ZoneInfo(self.time_zone)

    @property
    def profile_country(self) -> str:
        """The country code as `/v2/profiles` writes it."""
        return "UK" if self.country == "GB" else self.country

    @property
    def has_cents(self) -> bool:
        """Whether amounts of the currency usually have two decimals (the yen has none)."""
        return self.currency != "JPY"


_MARKETS = (
    Market("BR", "NA", "BRL", "America/Sao_Paulo", "A2Q3Y263D00KWC"),
    Market("CA", "NA", "CAD", "America/Los_Angeles", "A2EUQ1WTGCTBG2"),
    Market("MX", "NA", "MXN", "America/Los_Angeles", "A1AM78C64UM0Y8"),
    Market("US", "NA", "USD", "America/Los_Angeles", "ATVPDKIKX0DER"),
    Market("AE", "EU", "AED", "Asia/Dubai", "A2VIGQ35RCS4UG"),
    Market("BE", "EU", "EUR", "Europe/Brussels", "AMEN7PMS3EDWL"),
    Market("DE", "EU", "EUR", "Europe/Paris", "A1PA6795UKMFR9"),
    Market("EG", "EU", "EGP", "Africa/Cairo", "ARBP9OOSHTCHU"),
    Market("ES", "EU", "EUR", "Europe/Paris", "A1RKKUPIHCS9HS"),
    Market("FR", "EU", "EUR", "Europe/Paris", "A13V1IB3VIYZZH"),
    Market("GB", "EU", "GBP", "Europe/London", "A1F83G8C2ARO7P"),
    Market("IE", "EU", "EUR", "Europe/Dublin", "A28R8C7NBKEWEA"),
    Market("IN", "EU", "INR", "Asia/Kolkata", "A21TJRUUN4KGV"),
    Market("IT", "EU", "EUR", "Europe/Paris", "APJ6JRA9NG5V4"),
    Market("NL", "EU", "EUR", "Europe/Amsterdam", "A1805IZSGTT6HS"),
    Market("PL", "EU", "PLN", "Europe/Warsaw", "A1C3SOZRARQ6R3"),
    Market("SA", "EU", "SAR", "Asia/Riyadh", "A17E79C6D8DWNP"),
    Market("SE", "EU", "SEK", "Europe/Stockholm", "A2NODRKZP88ZB9"),
    Market("TR", "EU", "TRY", "Europe/Istanbul", "A33AVAJ2PDY3EV"),
    Market("ZA", "EU", "ZAR", "Africa/Johannesburg", None),
    Market("AU", "FE", "AUD", "Australia/Sydney", "A39IBJ37TRP1C6"),
    Market("JP", "FE", "JPY", "Asia/Tokyo", "A1VC38T7YXB528"),
    Market("SG", "FE", "SGD", "Asia/Singapore", "A19VAU5U5O7RUS"),
)

MARKETS: dict[str, Market] = {market.country: market for market in _MARKETS}
REGIONS: tuple[Region, ...] = ("NA", "EU", "FE")
