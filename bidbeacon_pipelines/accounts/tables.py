"""Tables of ads accounts, accounts, and the last listing of each credential."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bidbeacon_pipelines.accounts.rules import Cadence
from bidbeacon_pipelines.causes import cause, explain
from bidbeacon_pipelines.credentials import DEFAULT
from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.database.base import amazon_id as _id
from bidbeacon_sessions import Subject

LONGEST_ALIAS = 80
_CONTROLS = r"[\x01-\x1f\x7f]"


class AdsAccount(PipelinesBase):
    """One row is an ads account: Amazon's advertiser account, with one id for all countries.

    `alias` is shown in place of Amazon's `name`. Reports of the ads account are requested on the
    host of `region`, within the rate limits of `client_id`. The ads account belongs to
    `credential`; `listed_by` has all credentials that list it. `credential_by` is the user who
    chose the credential, null if a sync chose it. `needs_attention` is the cause of Amazon's
    refusals: no requests are sent while it is set. `needs_attention_for` is `account` if Amazon
    refuses this ads account, `credentials` if Amazon refuses the credential. `refusals` is the
    number of consecutive refusals (401 or 403).

    `refresh_every` or `refresh_cron` (in `time_zone`) is the cadence; if both are null, windows are
    planned as soon as data is due. Before `next_run_at`, no run starts for due windows.
    `last_run_at` is when the last refresh began. Reports are planned for all windows due up to
    `planned_at`, which is null if reports have to be planned again. The user `cadence_by` last
    changed the cadence, at `cadence_at`.
    """

    __tablename__ = "ads_accounts"

    account_id: Mapped[str] = _id(primary_key=True)
    ads_account_key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    alias: Mapped[str | None]
    client_id: Mapped[str]
    credential: Mapped[str] = mapped_column(server_default=DEFAULT)
    credential_by: Mapped[str | None]
    listed_by: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    region: Mapped[Any] = mapped_column(Text, nullable=False)
    time_zone: Mapped[str]
    needs_attention: Mapped[dict[str, Any] | None]
    needs_attention_for: Mapped[str | None]
    needs_attention_since: Mapped[datetime | None]
    refusals: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    refresh_every: Mapped[timedelta | None]
    refresh_cron: Mapped[str | None]
    next_run_at: Mapped[datetime | None]
    cadence_by: Mapped[str | None]
    cadence_at: Mapped[datetime | None]
    last_run_at: Mapped[datetime | None]
    planned_at: Mapped[datetime | None]
    first_seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint("ads_account_key ~ '^[a-z0-9-]*[.]?[A-Za-z0-9_-]+$'", name="key_is_plain"),
        CheckConstraint(
            f"alias = btrim(alias) AND char_length(alias) BETWEEN 1 AND {LONGEST_ALIAS} "
            f"AND alias !~ '{_CONTROLS}'",
            name="alias_is_plain",
        ),
        CheckConstraint(
            "needs_attention_for IN ('account', 'credentials')", name="needs_attention_for_known"
        ),
        CheckConstraint(
            "(needs_attention IS NULL) = (needs_attention_for IS NULL)",
            name="needs_attention_for_something",
        ),
        CheckConstraint(
            "jsonb_typeof(needs_attention) = 'object'", name="needs_attention_is_a_cause"
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

    @property
    def label(self) -> str:
        """The name to show: the alias, else Amazon's name, else the key."""
        return self.alias or self.name or self.ads_account_key

    @property
    def ref(self) -> Subject:
        """The ads account as the subject of a session."""
        return Subject(self.ads_account_key, self.label)

    @property
    def cadence(self) -> Cadence:
        """How often the ads account is refreshed."""
        return Cadence(every=self.refresh_every, cron=self.refresh_cron)

    @property
    def schedule(self) -> str:
        """A sentence with the cadence and the next refresh, in the account's local time."""
        if self.next_run_at is None:
            return f"{self.label} is refreshed {self.cadence}."
        local = self.next_run_at.astimezone(ZoneInfo(self.time_zone))
        at = f"{local:%Y-%m-%d %H:%M} ({self.time_zone})"
        return f"{self.label} is refreshed {self.cadence}, next at {at}."


class Account(PipelinesBase):
    """One row is an account: an ads account in one country, with currency and time zone."""

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
    region: Mapped[Any] = mapped_column(
        Text, nullable=False, comment="Region of the API: NA, EU or FE."
    )
    currency_code: Mapped[str] = mapped_column(comment="Currency of the account's amounts.")
    time_zone: Mapped[str] = mapped_column(
        comment="IANA time zone in which the account's days are counted."
    )
    marketplace_id: Mapped[str | None] = mapped_column(comment="Amazon's id of the marketplace.")
    account_type: Mapped[str | None] = mapped_column(
        comment="seller, vendor or agency; decides how long sales of Sponsored Products are "
        "attributed."
    )
    paused: Mapped[bool] = mapped_column(
        server_default=text("false"),
        comment="Whether a person has paused it: its reports and entities are not kept up to date.",
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
        comment="The user who requested a sync of its entities that has not ended."
    )
    entities_wanted_at: Mapped[datetime | None] = mapped_column(
        comment="When that sync was requested."
    )
    entities_claimed_by: Mapped[UUID | None] = mapped_column(
        comment="The session that runs that sync, for as long as its lease lives."
    )
    export_refusals: Mapped[int] = mapped_column(
        SmallInteger,
        server_default=text("0"),
        comment="How often in a row Amazon has refused an export (401 or 403).",
    )
    export_refused_at: Mapped[datetime | None] = mapped_column(
        comment="When Amazon refused an export last."
    )

    ads_account: Mapped[AdsAccount] = relationship(lazy="joined", innerjoin=True, viewonly=True)
    ads_account_key: AssociationProxy[str] = association_proxy("ads_account", "ads_account_key")
    alias: AssociationProxy[str | None] = association_proxy("ads_account", "alias")
    needs_attention: AssociationProxy[dict[str, Any] | None] = association_proxy(
        "ads_account", "needs_attention"
    )

    __table_args__ = (
        CheckConstraint(
            "country_code ~ '^[A-Z]{2}$' AND country_code <> 'UK'", name="country_is_iso"
        ),
        CheckConstraint("currency_code ~ '^[A-Z]{3}$'", name="currency_is_iso"),
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint("account_key ~ '^[A-Za-z0-9._-]+$'", name="key_is_plain"),
        CheckConstraint("(paused_by IS NULL) = (paused_at IS NULL)", name="pause_complete"),
        CheckConstraint(
            "(entities_wanted_by IS NULL) = (entities_wanted_at IS NULL)",
            name="entities_wanted_since",
        ),
        CheckConstraint(
            "entities_claimed_by IS NULL OR entities_wanted_by IS NOT NULL",
            name="entities_claimed_while_wanted",
        ),
        CheckConstraint("paused OR paused_by IS NULL", name="paused_while_paused"),
    )

    @property
    def label(self) -> str:
        """The name to show, with the country: `Acme Merch · US`."""
        return f"{self.ads_account.label} · {self.country_code}"

    @property
    def ref(self) -> Subject:
        """The account as the subject of a session."""
        return Subject(self.account_key, self.label)

    @property
    def identity(self) -> dict[str, str]:
        """The values of the columns that identify the account in every table of account data."""
        return {"account_id": self.account_id, "country_code": self.country_code}

    @property
    def is_disabled(self) -> bool:
        """Whether Amazon has disabled the account."""
        return self.amazon_status == "DISABLED"

    @property
    def stopped(self) -> str | None:
        """Why the account is stopped: `paused`, `disabled` or `needs attention`; else None."""
        if self.paused:
            return "paused"
        if self.is_disabled:
            return "disabled"
        return None if self.needs_attention is None else "needs attention"

    @property
    def is_active(self) -> bool:
        """Whether the account is neither paused nor disabled; it may still need attention."""
        return self.stopped in {None, "needs attention"}

    @property
    def can_resume(self) -> bool:
        """Whether a person can resume the account: it is paused or needs attention."""
        return self.paused or self.needs_attention is not None

    @property
    def stop_cause(self) -> dict[str, Any] | None:
        """Why no reports are requested for this account, as a cause; None if it isn't stopped."""
        if self.stopped == "paused":
            detail = {"account": self.account_key, "by": self.paused_by}
            return cause("account-paused", detail=detail)
        return cause("account-disabled") if self.stopped == "disabled" else self.needs_attention

    @property
    def stop_reason(self) -> str | None:
        """The sentence and advice of `stop_cause`, or None."""
        stopped = self.stop_cause
        return None if stopped is None else explain(stopped).text


class CredentialListing(PipelinesBase):
    """One row is Amazon's response for a credential in the last sync of accounts.

    `cause` is why Amazon did not list the credential's accounts, or null if Amazon listed them.
    `region` is null if the response is for all regions. `session_id` is the session of the sync.
    """

    __tablename__ = "credential_listings"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    credential: Mapped[str]
    region: Mapped[str | None]
    cause: Mapped[dict[str, Any] | None]
    session_id: Mapped[UUID]
    listed_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint("jsonb_typeof(cause) = 'object'", name="cause_is_an_object"),
        CheckConstraint("region IS NULL OR cause IS NOT NULL", name="region_has_cause"),
    )
