"""SQL on what people change about accounts: what no session has recorded yet, by whom, and when."""

from datetime import datetime

from sqlalchemy import Connection, RowMapping, text

from bidbeacon_pipelines.accounts.queries import ADS_ACCOUNT_LABEL

_CADENCE = "coalesce(o.refresh_cron, 'every ' || extract(epoch FROM o.refresh_every)::bigint)"
_IS_PAUSE_NEW = "a.enabled = (a.paused_at IS NOT NULL)"
_IS_CADENCE_NEW = f"o.recorded_cadence IS DISTINCT FROM {_CADENCE}"
_IS_ALIAS_NEW = "o.recorded_alias IS DISTINCT FROM o.alias"

_ANY = text(f"""
    SELECT EXISTS (SELECT FROM advertiser_accounts a WHERE {_IS_PAUSE_NEW})
        OR EXISTS (SELECT FROM ads_accounts o WHERE {_IS_CADENCE_NEW} OR {_IS_ALIAS_NEW})""")


def has_unrecorded_changes(connection: Connection) -> bool:
    """Return whether there is a change that no session has recorded."""
    return bool(connection.execute(_ANY).scalar_one())


_PAUSES = text(f"""
    UPDATE advertiser_accounts a
       SET paused_at = CASE WHEN enabled THEN NULL ELSE CAST(:at AS timestamptz) END,
           paused_by = CASE WHEN enabled THEN NULL ELSE CAST(:by AS text) END
     WHERE {_IS_PAUSE_NEW} RETURNING a.account_key, a.enabled""")


def take_pauses(connection: Connection, *, by: str, at: datetime) -> list[RowMapping]:
    """Note who paused or resumed the accounts for which no session has recorded it; return their account_key and enabled."""
    return list(connection.execute(_PAUSES, {"by": by, "at": at}).mappings())


_CADENCES = text(f"""
    UPDATE ads_accounts o SET recorded_cadence = {_CADENCE}, cadence_by = :by, cadence_at = :at
     WHERE {_IS_CADENCE_NEW} RETURNING o.ads_account_key, o.refresh_every, o.refresh_cron""")


def take_cadences(connection: Connection, *, by: str, at: datetime) -> list[RowMapping]:
    """Note who changed the cadences that no session has recorded; return ads_account_key, refresh_every, refresh_cron."""
    return list(connection.execute(_CADENCES, {"by": by, "at": at}).mappings())


_ALIASES = text(f"""
    WITH changed AS (SELECT account_id, recorded_alias FROM ads_accounts o WHERE {_IS_ALIAS_NEW} FOR UPDATE)
    UPDATE ads_accounts o SET recorded_alias = o.alias FROM changed c WHERE c.account_id = o.account_id
    RETURNING o.ads_account_key, {ADS_ACCOUNT_LABEL} AS name, coalesce(c.recorded_alias, nullif(o.name, ''), o.ads_account_key) AS before""")


def take_aliases(connection: Connection) -> list[RowMapping]:
    """Note that the aliases are recorded that no session has recorded; return ads_account_key, and name and before: how it is and was called."""
    return list(connection.execute(_ALIASES).mappings())
