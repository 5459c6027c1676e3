"""Tables of calls to Amazon, rate limits and access tokens, shared by all processes."""

from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, Identity, Index, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from bidbeacon_pipelines.amazon_ads.rate_limits import CallClass
from bidbeacon_pipelines.credentials import DEFAULT
from bidbeacon_pipelines.database.base import PipelinesBase
from bidbeacon_pipelines.database.base import amazon_id as _id

_CALL_CLASSES = tuple(map(str, CallClass))


class ApiCall(PipelinesBase):
    """One row is one call to Amazon with a credential, with or without a response.

    Rows are kept for `BIDBEACON_API_CALL_DAYS`. `duration` is the time from sending the request to
    the complete response. `queued` is the time spent waiting for BidBeacon's own rate limits.
    `waited` is the pause after the previous attempt (`Retry-After` or backoff). `retry_count` is
    the number of previous attempts. `error` is the class of the error in BidBeacon's client. If
    `status` is null, no complete response was received.
    """

    __tablename__ = "api_calls"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    called_at: Mapped[datetime] = mapped_column(index=True)
    credential: Mapped[str] = mapped_column(server_default=DEFAULT)
    region: Mapped[str]
    call: Mapped[str]
    account_id: Mapped[str | None] = _id()
    country_code: Mapped[str | None]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    error: Mapped[str | None]
    duration: Mapped[timedelta]
    queued: Mapped[timedelta]
    waited: Mapped[timedelta]
    retry_count: Mapped[int] = mapped_column(SmallInteger)
    request_id: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint(
            "duration >= '0' AND queued >= '0' AND waited >= '0'", name="times_positive"
        ),
        Index("ix_api_calls_account", "account_id", "called_at"),
    )


class RateLimit(PipelinesBase):
    """One row is the rate limit of a client id for a class of calls in a region or account.

    All processes share the row. `account_id` is empty if the limit is for the whole region. The
    next call starts no earlier than `next_start_at`.
    """

    __tablename__ = "rate_limits"

    client_id: Mapped[str] = mapped_column(primary_key=True)
    region: Mapped[str] = mapped_column(primary_key=True)
    call_class: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(
        Text(collation="C"), primary_key=True, server_default=""
    )
    next_start_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("region IN ('NA', 'EU', 'FE')", name="region_known"),
        CheckConstraint(f"call_class IN {_CALL_CLASSES}", name="call_class_known"),
    )


class AccessToken(PipelinesBase):
    """One row is the access token of a credential, shared by all processes until renewed.

    `credential` is a digest of client id and refresh token. A token is valid for an hour.
    """

    __tablename__ = "access_tokens"

    credential: Mapped[str] = mapped_column(primary_key=True)
    access_token: Mapped[str]
    renew_at: Mapped[datetime]
    ends_at: Mapped[datetime]
