"""Halt whatever runs a statement at it, by a trigger that sleeps, so that a process can be killed there."""

from sqlalchemy import Engine

from tests.support.world import execute, query

_HALT = """
CREATE FUNCTION halt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(600); RETURN coalesce(NEW, OLD); END $$"""
_HALTED = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"


def halt_before(engine: Engine, statement: str) -> None:
    """Halt whatever runs a statement: `event ON table FOR EACH …`."""
    execute(engine, _HALT)
    execute(engine, f"CREATE TRIGGER halt BEFORE {statement} EXECUTE FUNCTION halt()")


def is_halted(engine: Engine) -> bool:
    """Return whether something is halted."""
    return bool(query(engine, f"SELECT pid {_HALTED}"))


def halt_no_more(engine: Engine) -> None:
    """Remove the trigger, if any, and end what is halted though its client is gone."""
    query(engine, f"SELECT pg_terminate_backend(pid) {_HALTED}")
    execute(engine, "DROP FUNCTION IF EXISTS halt CASCADE")
