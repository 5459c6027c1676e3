"""The tables of ads accounts and accounts."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.database.base import amazon_id as _id

LONGEST_ALIAS = 80
_CONTROLS = r"[\x01-\x1f\x7f]"


class AdsAccount(PipelinesBase):
    """One row is an ads account: what Amazon calls an advertiser account, with one id for all of its countries.

    `alias` is shown in place of Amazon's `name`. Reports are requested for it, on the host of
    `region`, with the limits of `client_id`; `credential` names the refresh token. `needs_person`
    is why it is suspended until a person acts; `needs_person_for` says whether it concerns this ads
    account only, or the credentials, and then all that use them; `needs_person_since` says since
    when, where it was not set by SQL. `refusals` counts how often in a row Amazon has refused it
    (401 or 403).

    `refresh_every` or `refresh_cron` (in `time_zone`) is its own cadence; with neither it is
    planned as soon as something is due. Both may be set by SQL: `next_look_of` is the cadence that
    `next_look_at` was computed for, so a new one is noticed. Nothing that is due starts a run
    before `next_look_at`. `last_look_at` is when the last refresh began: what was due by then is
    planned also before `next_look_at`. `planned_at` is the instant up to which what was due was
    last planned. `recorded_cadence` and `recorded_alias` are those that a session has recorded
    last, so that changes by SQL are noticed; `cadence_by` and `cadence_at` are who changed the
    cadence, and when. `longest_periods` has, by dataset, the most `days` of a report, where Amazon
    has found longer ones too large, and `since` when. `split_datasets` are asked for in a report
    for each ad product, since even a day of all was too large.
    """

    __tablename__ = "ads_accounts"

    account_id: Mapped[str] = _id(primary_key=True)
    ads_account_key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    alias: Mapped[str | None]
    client_id: Mapped[str]
    credential: Mapped[str] = mapped_column(server_default="default")
    region: Mapped[str]
    time_zone: Mapped[str]
    needs_person: Mapped[str | None]
    needs_person_for: Mapped[str | None]
    needs_person_since: Mapped[datetime | None]
    refusals: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    refresh_every: Mapped[timedelta | None]
    refresh_cron: Mapped[str | None]
    next_look_at: Mapped[datetime | None]
    next_look_of: Mapped[str | None]
    recorded_cadence: Mapped[str | None]
    cadence_by: Mapped[str | None]
    cadence_at: Mapped[datetime | None]
    recorded_alias: Mapped[str | None]
    last_look_at: Mapped[datetime | None]
    planned_at: Mapped[datetime | None]
    longest_periods: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    split_datasets: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    first_seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint("ads_account_key ~ '^[a-z0-9-]*[.]?[A-Za-z0-9_-]+$'", name="key_is_plain"),
        CheckConstraint(
            f"alias = btrim(alias) AND char_length(alias) BETWEEN 1 AND {LONGEST_ALIAS} AND alias !~ '{_CONTROLS}'",
            name="alias_is_plain",
        ),
        CheckConstraint(
            "needs_person_for IN ('account', 'credentials')", name="needs_person_for_known"
        ),
        CheckConstraint(
            "(needs_person IS NULL) = (needs_person_for IS NULL)", name="needs_person_for_something"
        ),
        CheckConstraint("refusals >= 0", name="refusals_counted"),
        CheckConstraint(
            "refresh_every BETWEEN '5 minutes' AND '31 days'", name="refresh_every_in_reach"
        ),
        CheckConstraint(
            "refresh_cron ~ '^[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}$'",
            name="refresh_cron_has_five",
        ),
        CheckConstraint("num_nonnulls(refresh_every, refresh_cron) <= 1", name="one_cadence"),
    )


class AdvertiserAccount(PipelinesBase):
    """One row is an account: an ads account in one country, with its own profile, currency and time zone; a person may disable it.

    `id` is what the rows of reports refer to. `paused_by` and `paused_at` are who paused it, and
    when: where they do not fit `enabled`, that was changed by SQL, and no session has recorded it
    yet.
    """

    __tablename__ = "advertiser_accounts"

    account_id: Mapped[str] = mapped_column(
        Text(collation="C"),
        ForeignKey("ads_accounts.account_id"),
        primary_key=True,
        comment="Amazon's id of the ads account.",
    )
    country_code: Mapped[str] = mapped_column(
        primary_key=True, comment="Country of the account: two letters, GB for the United Kingdom."
    )
    id: Mapped[int] = mapped_column(
        Integer,
        Identity(always=True),
        unique=True,
        comment="Number by which the rows of reports refer to the account.",
    )
    account_key: Mapped[str] = mapped_column(
        unique=True, comment="Key of the account: its country and the key of its ads account."
    )
    name: Mapped[str] = mapped_column(comment="Name at Amazon.")
    amazon_status: Mapped[str] = mapped_column(comment="Status at Amazon, in its own words.")
    profile_id: Mapped[str | None] = mapped_column(
        comment="Amazon's id of the advertising profile of this country."
    )
    entity_id: Mapped[str | None] = mapped_column(comment="Amazon's id of the advertiser's entity.")
    region: Mapped[str] = mapped_column(comment="Region of the API: NA, EU or FE.")
    currency_code: Mapped[str] = mapped_column(comment="Currency of the account's amounts.")
    time_zone: Mapped[str] = mapped_column(
        comment="IANA time zone in which the account's days are counted."
    )
    marketplace_id: Mapped[str | None] = mapped_column(comment="Amazon's id of the marketplace.")
    account_type: Mapped[str | None] = mapped_column(
        comment="seller, vendor or agency; decides how long sales of Sponsored Products are attributed."
    )
    enabled: Mapped[bool] = mapped_column(
        server_default=text("true"),
        comment="Whether its reports and entities are kept up to date; false where a person has paused it.",
    )
    paused_by: Mapped[str | None] = mapped_column(comment="Who has paused it.")
    paused_at: Mapped[datetime | None] = mapped_column(comment="When it was paused.")
    first_seen_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), comment="When Amazon listed it first."
    )
    synced_at: Mapped[datetime] = mapped_column(
        server_default=text("now()"), comment="When Amazon listed it last."
    )
    entities_synced_at: Mapped[datetime | None] = mapped_column(
        comment="When its entities were synced last; null before the first sync."
    )
    entities_wanted_by: Mapped[str | None] = mapped_column(
        comment="Who asked for a sync of its entities that has not ended."
    )
    entities_wanted_at: Mapped[datetime | None] = mapped_column(
        comment="When that sync was asked for."
    )
    export_refusals: Mapped[int] = mapped_column(
        SmallInteger,
        server_default=text("0"),
        comment="How often in a row Amazon has refused an export (401 or 403).",
    )
    export_refused_at: Mapped[datetime | None] = mapped_column(
        comment="When Amazon refused an export last."
    )

    __table_args__ = (
        CheckConstraint(
            "country_code ~ '^[A-Z]{2}$' AND country_code <> 'UK'", name="country_is_iso"
        ),
        CheckConstraint("currency_code ~ '^[A-Z]{3}$'", name="currency_is_iso"),
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint("account_key ~ '^[A-Za-z0-9._-]+$'", name="key_is_plain"),
        CheckConstraint("(paused_by IS NULL) = (paused_at IS NULL)", name="paused_by_somebody"),
        CheckConstraint(
            "(entities_wanted_by IS NULL) = (entities_wanted_at IS NULL)",
            name="entities_wanted_since",
        ),
    )
