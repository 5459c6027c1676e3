"""Repairs stored instants after the database's clock was set back.

If the database's clock was ahead for a while, tables have instants that are too late, and work
would wait for them. Therefore the table `installation` stores the latest instant that the clock
showed. If the clock is behind that instant, all tables are repaired. Because of this repair,
queries and rules do not check for instants in the future.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, text

from bidbeacon_pipelines.database.clock import CLOCKS_DIFFER_BY, read_now
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.settings import get_session_settings

logger = logging.getLogger(__name__)

_REPEATED_FOR: Final = timedelta(minutes=2)
"""How long repairs are repeated: other processes may use a wrong time for up to a minute."""
_READ = text("""
    SELECT clock_timestamp(), latest_at,
           pg_try_advisory_xact_lock(hashtextextended('bidbeacon clock', 0))
      FROM installation""")
_STORE_LATEST = text("UPDATE installation SET latest_at = :latest_at")

# Each interval is the longest pause that is ever stored: instants further ahead are set to now.
# Requests are repaired first, since a load locks its request's row: a running load then stores its
# windows' instants before the windows are repaired, and a later load reads repaired instants.
_REPAIRS: Final = tuple(
    text(f"UPDATE {statement}")
    for statement in (
        """report_requests SET next_step_at = :now
            WHERE next_step_at > CAST(:now AS timestamptz) + interval '2 days'""",
        "report_requests SET created_at = :now WHERE created_at > :now",
        "report_requests SET due_at = :now WHERE due_at > :now",
        "report_requests SET completed_at = :now WHERE completed_at > :now",
        """report_requests SET sent_at = :now, late_at = late_at - (sent_at - :now)
            WHERE sent_at > :now""",
        """report_windows SET next_refresh_at = :now
            WHERE next_refresh_at > CAST(:now AS timestamptz) + interval '32 days'
              AND window_date <= CAST(:now AS timestamptz)""",
        # Data loaded while the clock was ahead may have been judged final.
        """report_windows
              SET next_refresh_at = CASE WHEN status <> 'not_served'
                                         THEN CAST(:now AS timestamptz) END,
                  data_as_of = :now, first_data_as_of = least(first_data_as_of, :now)
            WHERE data_as_of > CAST(:now AS timestamptz) + interval '1 hour'""",
        "report_windows SET refused_alone_at = :now WHERE refused_alone_at > :now",
        "report_windows SET cause_since = :now WHERE cause_since > :now",
        "report_windows SET wanted_at = :now WHERE wanted_at > :now",
        """dataset_windows SET through_date = CAST(:now AS timestamptz) - interval '2 days'
            WHERE through_date > CAST(:now AS timestamptz) + interval '2 days'""",
        """report_gates SET next_create_at = :now
            WHERE next_create_at > CAST(:now AS timestamptz) + interval '1 day'""",
        """rate_limits SET next_start_at = :now
            WHERE next_start_at > CAST(:now AS timestamptz) + interval '1 hour'""",
        """ads_accounts SET next_run_at = :now
            WHERE next_run_at
                  > CAST(:now AS timestamptz) + coalesce(refresh_every, interval '366 days')""",
        "ads_accounts SET last_run_at = :now WHERE last_run_at > :now",
        "ads_accounts SET planned_at = NULL WHERE planned_at > :now",
        "advertiser_accounts SET first_seen_at = :now WHERE first_seen_at > :now",
        "advertiser_accounts SET entities_wanted_at = :now WHERE entities_wanted_at > :now",
        "advertiser_accounts SET export_refused_at = :now WHERE export_refused_at > :now",
        # Entities of these accounts are synced again immediately.
        """advertiser_accounts
              SET entities_synced_at = CAST(:now AS timestamptz) - interval '1 day'
            WHERE entities_synced_at > CAST(:now AS timestamptz) + interval '1 hour'""",
        "entity_exports SET created_at = :now WHERE created_at > :now",
        """proven_histories
              SET age_days = greatest(0, least(age_days, CAST(:now AS date) - window_date)),
                  proven_at = :now
            WHERE proven_at > CAST(:now AS timestamptz) + interval '1 hour'""",
        """unwritable_folders SET retry_at = :now
            WHERE retry_at > CAST(:now AS timestamptz) + interval '1 hour'""",
        """findings
              SET began_at = least(began_at, :now),
                  gone_at = CASE WHEN gone_at > :now THEN :now ELSE gone_at END
            WHERE began_at > :now OR gone_at > :now""",
        """findings
              SET last_alerts = (SELECT jsonb_object_agg(key, jsonb_set(value, '{at}', to_jsonb(
                              least(CAST(value ->> 'at' AS timestamptz), :now))))
                            FROM jsonb_each(last_alerts))
            WHERE EXISTS (SELECT FROM jsonb_each(last_alerts)
                           WHERE CAST(value ->> 'at' AS timestamptz) > :now)""",
        """alert_receivers SET next_attempt_at = :now
            WHERE next_attempt_at > CAST(:now AS timestamptz) + interval '1 hour'""",
        "processes SET seen_at = :real_now WHERE seen_at > :real_now",
        """session_leases
              SET expires_at = CAST(:real_now AS timestamptz) + make_interval(secs => :lease),
                  heartbeat_at = least(heartbeat_at, :real_now)
            WHERE heartbeat_at > :real_now""",
    )
)


def repair_clock(engine: Engine, settings: Settings) -> bool:
    """Repair instants if the database's clock was set back; return whether a repair ran.

    One process at a time repairs instants. Each call in the next two minutes repairs them again,
    because other processes may still store wrong instants.
    """
    with engine.begin() as connection:
        now, latest, is_alone = connection.execute(_READ).one()
        if latest is None or now > latest:
            connection.execute(_STORE_LATEST, {"latest_at": now})
            return False
        if now >= latest - CLOCKS_DIFFER_BY or not is_alone:
            return False
        repaired = repair_instants(engine, read_now(connection, settings), now)
        until = now + CLOCKS_DIFFER_BY + _REPEATED_FOR
        connection.execute(_STORE_LATEST, {"latest_at": min(latest, until)})
    logger.warning("The database's clock was set back: %s rows were repaired.", f"{repaired:,}")
    return True


def repair_instants(engine: Engine, now: datetime, real_now: datetime) -> int:
    """Correct instants that are too far in the future; return the number of changed rows.

    Each statement is a transaction of its own, so that no table is locked for long.

    Args:
        engine: The engine of the database.
        now: The present instant; with the sandbox, it includes the simulation's offset.
        real_now: The present instant without the simulation's offset.
    """
    values = {"now": now, "real_now": real_now, "lease": get_session_settings().lease_seconds}
    repaired = 0
    for repair in _REPAIRS:
        with engine.begin() as connection:
            repaired += connection.execute(repair, values).rowcount
    return repaired
