"""Wanted days and syncs are claimed by one session, as long as its lease lives."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from bidbeacon_pipelines.entities.wanted_queries import (
    claim_entities,
    end_claim_of_entities,
    want_sync,
)
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from bidbeacon_pipelines.windows.wanted_queries import (
    claim_windows,
    give_up_claims,
    list_wanted,
    want_windows,
)
from bidbeacon_sessions import SessionRecorder
from tests.support.jobs import load_by_hand, make_windows
from tests.support.reading import call, tuples
from tests.support.world import DATASET, World

TODAY = date(2026, 1, 15)
DAY, OTHER = (TODAY - timedelta(days=n) for n in (3, 200))
WANTED = """
    SELECT window_date, claimed_by FROM report_windows WHERE wanted_by IS NOT NULL ORDER BY 1"""
REFUSE_UNCLAIMED = """
    CREATE FUNCTION refuse_unclaimed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM report_windows WHERE wanted_by IS NOT NULL AND claimed_by IS NULL) THEN
            RAISE 'a wanted day has no claim';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER refuse_unclaimed AFTER UPDATE ON report_windows
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unclaimed()"""
"""Refuses the commit of a transaction that leaves a day wanted and unclaimed."""
END_LEASE = "UPDATE session_leases SET expires_at = now() WHERE session_id = :id"


def claim(world: World, session: SessionRecorder, *days: date) -> None:
    """Have a session want days of the US account, and claim them."""
    account = world.account()
    make_windows(world, account)
    now, of = world.context.now(), (account, DATASET.name, days)
    call(world.engine, want_windows, *of, "anna", now=now)
    call(world.engine, claim_windows, *of, session.session_id, by="anna")


def end_lease(world: World, session: SessionRecorder) -> None:
    """End the lease of a session, as after a kill."""
    world.execute(END_LEASE, id=session.session_id)


def give_up(world: World, session: SessionRecorder) -> None:
    """End the work of a session, as on Ctrl-C."""
    call(world.engine, give_up_claims, world.account(), DATASET.name, session.session_id)


@pytest.mark.parametrize("end", [end_lease, give_up])
def test_second_load_waits_until_the_first_has_ended(
    world: World, end: Callable[[World, SessionRecorder], None]
) -> None:
    """It requests nothing while the first lives; then the day is its own, whether the first was killed or stopped."""
    created: list[int] = []
    with world.session("load-windows") as first:
        claim(world, first, DAY)

        def look(_: str) -> None:
            created.append(world.reports_made())
            if len(created) == 3:
                end(world, first)

        [window] = load_by_hand(world, world.account(), DAY, on_progress=look)
    assert ([0, 0, 0, 1], 1) == (created[:4], window.load_count)


def test_day_is_wanted_and_claimed_at_once(world: World) -> None:
    """A load that is interrupted leaves no day that is wanted and unclaimed, and no other run starts for it."""
    world.execute(REFUSE_UNCLAIMED)
    [window] = load_by_hand(world, world.account(), DAY)
    assert 1 == window.load_count


def test_load_that_another_session_completes_is_done(world: World) -> None:
    """It waits until nobody wants the day any more, and sees what was loaded."""
    with world.session("load-windows") as first:
        request_id = world.ask(world.account(), DAY)
        claim(world, first, DAY)
        [window] = load_by_hand(
            world, world.account(), DAY, on_progress=lambda _: world.step() and None
        )
    assert (request_id, 1) == (window.loaded_by_request, window.load_count)


def test_end_of_a_load_clears_its_own_claims_only(world: World) -> None:
    """Days that another living session has claimed stay wanted."""
    world.break_with("report_ends", status="PENDING")
    with world.session("load-windows") as first:
        claim(world, first, DAY)
        with pytest.raises(WindowNotLoadedError):
            load_by_hand(world, world.account(), DAY, OTHER, minutes=50)
        assert [(DAY, first.session_id)] == tuples(world.engine, WANTED)


def test_day_that_is_wanted_again_is_free_at_once(world: World) -> None:
    """Also while the session that gave it up still lives: that one has claimed it no more."""
    with world.session("load-windows") as first:
        claim(world, first, DAY)
        give_up(world, first)
        of = (world.account(), DATASET.name, [DAY])
        call(world.engine, want_windows, *of, "maria", now=world.context.now())
        assert [(DAY, None)] == tuples(world.engine, WANTED)
        give_up(world, first)
        assert [(DAY, None)] == tuples(world.engine, WANTED)


def test_sync_of_entities_is_claimed_by_one_session(world: World) -> None:
    """Its end leaves them wanted if they were put off, and frees them."""
    account = world.account()
    with world.session() as first, world.session() as second:
        assert call(world.engine, claim_entities, account, first.session_id) is None
        call(world.engine, want_sync, account, by="anna")
        assert "anna" == call(world.engine, claim_entities, account, first.session_id)
        assert call(world.engine, claim_entities, account, second.session_id) is None
        call(world.engine, end_claim_of_entities, account, second.session_id, stays_wanted=False)
        [wanted] = call(world.engine, list_wanted)
        assert (None, first.session_id) == (wanted["dataset"], wanted["session_id"])
        end_lease(world, first)
        assert "anna" == call(world.engine, claim_entities, account, second.session_id)
        call(world.engine, end_claim_of_entities, account, second.session_id, stays_wanted=True)
        [wanted] = call(world.engine, list_wanted)
        assert ("anna", None) == (wanted["wanted_by"], wanted["session_id"])
