"""Repairs stored instants after the database's clock was set back.

The database's clock may be ahead for a while: the embedded server has its host's clock. What was
stored then would be waited for until that time comes. So `installation` keeps the latest instant
that was read, and where the clock is behind it, one repair runs over all tables. Queries and rules
take stored instants as they are.
"""

import logging
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from bidbeacon_pipelines.database.clock import CLOCKS_DIFFER_BY, read_now
from bidbeacon_pipelines.settings import Settings

logger = logging.getLogger(__name__)

_REPEATED_FOR: Final = timedelta(minutes=2)
"""Other processes count on from a reading of the clock for up to a minute, and may still store a wrong instant."""
_READ = text("SELECT clock_timestamp(), latest_at FROM installation FOR UPDATE")
_NOTE = text("UPDATE installation SET latest_at = :latest_at")

# Each pause is the longest that is ever stored; an instant further ahead counts as now.
_REPAIRS: Final = tuple(
    text(f"UPDATE {statement}")
    for statement in (
        """report_windows SET next_refresh_at = :now
            WHERE next_refresh_at > CAST(:now AS timestamptz) + interval '32 days'
              AND window_date <= CAST(:now AS timestamptz)""",
        # What was loaded by a clock that was ahead may have been judged final: it is loaded again.
        """report_windows
              SET next_refresh_at = :now, data_as_of = :now,
                  first_data_as_of = least(first_data_as_of, :now)
            WHERE data_as_of > :now""",
        "report_windows SET refused_alone_at = :now WHERE refused_alone_at > :now",
        "report_windows SET wanted_at = :now WHERE wanted_at > :now",
        """dataset_windows SET through_date = CAST(:now AS timestamptz) - interval '2 days'
            WHERE through_date > CAST(:now AS timestamptz) + interval '2 days'""",
        """report_requests SET next_step_at = :now
            WHERE next_step_at > CAST(:now AS timestamptz) + interval '2 days'""",
        "report_requests SET created_at = :now WHERE created_at > :now",
        """report_requests SET sent_at = :now, late_at = late_at - (sent_at - :now)
            WHERE sent_at > :now""",
        """report_gates SET next_create_at = :now
            WHERE next_create_at > CAST(:now AS timestamptz) + interval '1 day'""",
        """rate_limits SET next_start_at = :now
            WHERE next_start_at > CAST(:now AS timestamptz) + interval '1 hour'""",
        """ads_accounts SET next_look_at = :now
            WHERE next_look_at > CAST(:now AS timestamptz) + coalesce(refresh_every, interval '366 days')""",
        "ads_accounts SET last_look_at = :now WHERE last_look_at > :now",
        "ads_accounts SET planned_at = NULL WHERE planned_at > :now",
        "advertiser_accounts SET first_seen_at = :now WHERE first_seen_at > :now",
        "advertiser_accounts SET entities_synced_at = NULL WHERE entities_synced_at > :now",
        "advertiser_accounts SET export_refused_at = :now WHERE export_refused_at > :now",
        "entity_exports SET created_at = :now WHERE created_at > :now",
        # What was proven under a wrong clock has a wrong age: a later load proves it again.
        "proven_histories SET age_days = 0, proven_at = :now WHERE proven_at > :now",
        "unwritable_folders SET retry_at = :now WHERE retry_at > CAST(:now AS timestamptz) + interval '1 hour'",
        """alert_receivers SET next_attempt_at = :now
            WHERE next_attempt_at > CAST(:now AS timestamptz) + interval '1 hour'""",
        "processes SET seen_at = clock_timestamp() WHERE seen_at > clock_timestamp()",
        """session_leases SET expires_at = clock_timestamp()
            WHERE expires_at > clock_timestamp() + interval '1 hour'""",
    )
)


def repair_clock(connection: Connection, settings: Settings) -> bool:
    """Repair stored instants if the database's clock is behind the latest instant that was read; return whether it is.

    The repair runs again for two minutes, for what other processes store meanwhile.
    """
    now, latest = connection.execute(_READ).one()
    if latest is None or now > latest:
        connection.execute(_NOTE, {"latest_at": now})
        return False
    if now >= latest - CLOCKS_DIFFER_BY:
        return False
    until = now + CLOCKS_DIFFER_BY + _REPEATED_FOR
    connection.execute(_NOTE, {"latest_at": min(latest, until)})
    repaired = repair_instants(connection, read_now(connection, settings))
    logger.warning("The database's clock was set back: %s rows were repaired.", f"{repaired:,}")
    return True


def repair_instants(connection: Connection, now: datetime) -> int:
    """Pull back each stored instant that is further ahead than it can be; return how many rows had one."""
    return sum(connection.execute(repair, {"now": now}).rowcount for repair in _REPAIRS)
