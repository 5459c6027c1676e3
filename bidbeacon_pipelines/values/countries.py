"""Defaults of the countries where Amazon sells ads; an account's profile overrides them."""

from dataclasses import dataclass

from bidbeacon_pipelines.settings import Region

# ISO 4217's "no currency", for an unknown country.
NO_CURRENCY = "XXX"


@dataclass(frozen=True)
class Country:
    """One country; `code` is an ISO 3166 code and `time_zone` an IANA name."""

    code: str
    region: Region
    currency_code: str
    time_zone: str
    marketplace_id: str | None


COUNTRIES: dict[str, Country] = {
    country.code: country
    for country in (
        Country("BR", "NA", "BRL", "America/Sao_Paulo", "A2Q3Y263D00KWC"),
        Country("CA", "NA", "CAD", "America/Los_Angeles", "A2EUQ1WTGCTBG2"),
        Country("MX", "NA", "MXN", "America/Los_Angeles", "A1AM78C64UM0Y8"),
        Country("US", "NA", "USD", "America/Los_Angeles", "ATVPDKIKX0DER"),
        Country("AE", "EU", "AED", "Asia/Dubai", "A2VIGQ35RCS4UG"),
        Country("BE", "EU", "EUR", "Europe/Brussels", "AMEN7PMS3EDWL"),
        Country("DE", "EU", "EUR", "Europe/Paris", "A1PA6795UKMFR9"),
        Country("EG", "EU", "EGP", "Africa/Cairo", "ARBP9OOSHTCHU"),
        Country("ES", "EU", "EUR", "Europe/Paris", "A1RKKUPIHCS9HS"),
        Country("FR", "EU", "EUR", "Europe/Paris", "A13V1IB3VIYZZH"),
        Country("GB", "EU", "GBP", "Europe/London", "A1F83G8C2ARO7P"),
        Country("IE", "EU", "EUR", "Europe/Dublin", "A28R8C7NBKEWEA"),
        Country("IN", "EU", "INR", "Asia/Kolkata", "A21TJRUUN4KGV"),
        Country("IT", "EU", "EUR", "Europe/Paris", "APJ6JRA9NG5V4"),
        Country("NL", "EU", "EUR", "Europe/Amsterdam", "A1805IZSGTT6HS"),
        Country("PL", "EU", "PLN", "Europe/Warsaw", "A1C3SOZRARQ6R3"),
        Country("SA", "EU", "SAR", "Asia/Riyadh", "A17E79C6D8DWNP"),
        Country("SE", "EU", "SEK", "Europe/Stockholm", "A2NODRKZP88ZB9"),
        Country("TR", "EU", "TRY", "Europe/Istanbul", "A33AVAJ2PDY3EV"),
        Country("ZA", "EU", "ZAR", "Africa/Johannesburg", None),
        Country("AU", "FE", "AUD", "Australia/Sydney", "A39IBJ37TRP1C6"),
        Country("JP", "FE", "JPY", "Asia/Tokyo", "A1VC38T7YXB528"),
        Country("SG", "FE", "SGD", "Asia/Singapore", "A19VAU5U5O7RUS"),
    )
}


def normalise_country(code: str) -> str:
    """Return the ISO code of a country; `UK`, which Amazon's profiles use, becomes `GB`."""
    code = code.strip().upper()
    return "GB" if code == "UK" else code


def get_country(code: str, *, region: Region) -> Country:
    """Return a country's defaults; an unknown country gets `region`, UTC and no currency."""
    return COUNTRIES.get(code) or Country(code, region, NO_CURRENCY, "UTC", None)
