"""Days loaded by hand: requested or already in a report, waited for, loaded, or told why not."""

from datetime import date, timedelta
from typing import Any

import pytest

from bidbeacon_pipelines.accounts.rules import AccountStoppedError
from bidbeacon_pipelines.actions import SkipReason
from bidbeacon_pipelines.datasets.registry import DAILY_PRODUCTS
from bidbeacon_pipelines.problems.system_findings import failed_sessions
from bidbeacon_pipelines.requests import create, dispatch
from bidbeacon_pipelines.requests.drive import drive_request
from bidbeacon_pipelines.requests.load_days import WindowNotLoadedError
from bidbeacon_pipelines.requests.tables import ReportRequest
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions.clock import utc_now
from tests.support.jobs import load_by_hand
from tests.support.reading import column, tuples
from tests.support.rows import change_requests
from tests.support.world import World

TODAY = date(2026, 1, 15)
DAY, OTHER, THIRD = (TODAY - timedelta(days=n) for n in (3, 200, 400))


def test_a_window_is_asked_for_waited_for_and_loaded(world: World) -> None:
    """One report, and the window as it is stored comes back; nobody wants it any more."""
    told: list[str] = []
    [window] = load_by_hand(world, world.account(), DAY, on_progress=told.append)
    assert (window.status, window.wanted_by, len(world.accepted())) == ("loaded", None, 1)
    assert told[0] == "0 of 1 windows loaded; waited 0.0 s for Amazon so far"


def test_a_fresh_window_gets_a_new_report(world: World) -> None:
    """Who asks by hand gets what Amazon says now."""
    account = world.account()
    load_by_hand(world, account, DAY)
    [window] = load_by_hand(world, account, DAY)
    assert (window.load_count, len(world.accepted())) == (2, 2)


def test_a_day_in_a_report_in_flight_waits_for_it(world: World) -> None:
    """A window that another session has asked for is not asked for again."""
    account = world.account()
    world.ask(account, DAY)
    [window] = load_by_hand(world, account, DAY)
    assert (window.load_count, len(world.accepted())) == (1, 1)


def test_a_report_that_is_ready_is_loaded_at_once_and_no_wait_is_recorded(
    world: World,
) -> None:
    """A window that was just loaded has no request any more, as one has that waits for its report to be created."""
    account = world.account()
    world.ask(account, DAY)
    world.advance(minutes=10)
    told: list[str] = []
    [window] = load_by_hand(world, account, DAY, on_progress=told.append)
    assert (window.load_count, told, world.actions("window-skipped")) == (1, [], [])


def test_a_window_that_another_session_loads_meanwhile_is_done(world: World) -> None:
    """The polling run may be faster than the session that waits: that ends its wait, too."""
    account = world.account()
    world.ask(account, DAY)

    told: list[str] = []

    def poll(progress: str) -> None:
        told.append(progress)
        world.advance(minutes=2)
        world.step()

    [window] = load_by_hand(world, account, DAY, on_progress=poll)
    assert (window.load_count, len(told)) == (1, 1)
    assert len(world.accepted()) == 1


def test_a_failed_request_is_told_with_its_cause(world: World) -> None:
    """Where the last attempt fails, the error names day and cause."""
    world.break_with("report_ends", reason="Out of ink")
    world.context.settings.by_hand_wait_minutes = 600
    with pytest.raises(
        WindowNotLoadedError, match=r"Out of ink.*Given up after 5 attempts"
    ) as caught:
        load_by_hand(world, world.account(), DAY, minutes=10)
    assert [DAY] == list(caught.value.causes)


def test_a_suspicious_report_is_told_and_asking_again_confirms_it(world: World) -> None:
    """The first empty report is an error for who asked, the second is believed."""
    account = world.account()
    load_by_hand(world, account, DAY)
    world.break_with("rows", times=2, change="vanish", share=1)
    with pytest.raises(WindowNotLoadedError, match="A second report is requested"):
        load_by_hand(world, account, DAY)
    [window] = load_by_hand(world, account, DAY)
    assert (window.row_count, window.load_count) == (0, 2)


def test_more_reports_than_amazon_makes_at_a_time_wait_and_say_so_once(world: World) -> None:
    """Days in three periods need three reports: two at a time, all are loaded, and the wait is told once."""
    told: list[str] = []
    windows = load_by_hand(world, world.account(), DAY, OTHER, THIRD, on_progress=told.append)
    assert {"loaded"} == {window.status for window in windows}
    assert len(world.accepted()) == 3
    assert len(told) >= 2
    reasons = [action["reason"] for action in world.actions("window-skipped")]
    assert 1 == reasons.count(SkipReason.WAITS_FOR_AMAZON)


def test_newest_days_are_requested_first_in_all_reports(world: World) -> None:
    """Of a dataset of two reports, a day is complete before an older one is requested: if time runs out, the oldest days are left."""
    account = world.account()
    world.sync_entities(account)
    load_by_hand(world, account, OTHER, DAY, dataset=DAILY_PRODUCTS)
    sent = "SELECT end_date FROM report_requests WHERE by_hand ORDER BY sent_at, id"
    assert [DAY, DAY, OTHER, OTHER] == column(world.engine, sent)


def test_load_plans_nothing_that_is_only_due(world: World) -> None:
    """The wanted day has a request of its own, though others of the account are due; the refresh plans these around it."""
    account = world.account()
    world.sync_entities(account)
    load_by_hand(world, account, OTHER)
    planned = """SELECT start_date, end_date, by_hand FROM report_requests
                  WHERE dataset = 'daily_targets' AND finished_at IS NULL"""
    assert [] == tuples(world.engine, planned)
    world.plan_by_hand(account, [DAY])
    world.plan(account)
    spans = tuples(world.engine, planned)
    assert [(DAY, DAY, True)] == [one for one in spans if one[2]]
    assert any(start < DAY < end for start, end, by_hand in spans if not by_hand)


def test_reports_of_another_country_that_are_done_make_room(world: World) -> None:
    """With two reports for Canada done, the US's is created without anybody else's help, and Canada's are left to be loaded by others."""
    canada = world.account("CA")
    world.ask(canada, DAY)
    world.ask(canada, OTHER)
    [window] = load_by_hand(world, world.account("US"), DAY)
    assert window.status == "loaded"
    assert world.window(canada, DAY).status == "requested"
    assert world.step() == 2
    assert world.window(canada, DAY).status == "loaded"


def test_who_waits_for_a_place_looks_until_there_is_one(world: World) -> None:
    """Of two reports of the region that are done one is looked at, and none of another region."""
    japan = world.ask(world.account("JP"), DAY)
    world.ask(world.account("CA"), DAY)
    world.ask(world.account("CA"), OTHER)
    world.advance(minutes=2)
    load_by_hand(world, world.account("US"), DAY)
    assert "in_flight" == world.request(japan).status
    others = "SELECT status FROM report_requests WHERE id <> :id AND status <> 'loaded' ORDER BY 1"
    assert ["completed", "in_flight"] == column(world.engine, others, id=japan)


def test_who_waits_for_a_place_does_not_fail_with_another_request(world: World) -> None:
    """Something unforeseen about one of the reports at Amazon keeps nobody from loading his own."""
    broken = world.ask(world.account("CA"), DAY)
    world.ask(world.account("CA"), OTHER)
    world.advance(minutes=2)
    change_requests(world.engine, ReportRequest.id == broken, dataset="of_a_newer_release")
    [window] = load_by_hand(world, world.account("US"), DAY)
    assert window.status == "loaded"


def test_load_polls_reports_of_others_for_some_seconds_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it looks after its own, and at the time."""
    world.break_with("report_ends", status="PENDING")
    for day in (DAY, OTHER):
        world.ask(world.account("CA"), day)
    world.advance(minutes=2)
    polled: list[int] = []

    def poll_slowly(*given: Any, loads: bool = True) -> str | None:
        if not loads:
            world.advance(seconds=6)
            polled.append(given[-1])
        return drive_request(*given, loads=loads)

    monkeypatch.setattr(dispatch, "drive_request", poll_slowly)
    rounds: list[int] = []
    with pytest.raises(WindowNotLoadedError):
        load_by_hand(
            world,
            world.account("US"),
            DAY,
            minutes=50,
            on_progress=lambda _: rounds.append(len(polled)),
        )
    assert [1, 2] == rounds


def test_unexpected_error_of_its_own_request_ends_the_load(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: the person reads the error, instead of waiting for a report."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Out of ink")

    monkeypatch.setattr(create, "create_report", fail)
    waits: list[str] = []
    with pytest.raises(RuntimeError, match="Out of ink"):
        load_by_hand(world, world.account(), DAY, on_progress=waits.append)
    assert [] == waits


def test_who_waits_too_long_is_told_that_amazon_is_not_done(world: World) -> None:
    """After the setting's time the session ends; the request stays for the scheduled refresh."""
    world.break_with("report_ends", status="PENDING")
    account = world.account()
    with pytest.raises(WindowNotLoadedError, match="Amazon has not completed the report yet"):
        load_by_hand(world, account, DAY, minutes=50)
    assert world.window(account, DAY).status == "requested"
    [told] = world.actions("wait-given-up")
    assert ([str(DAY)], {"code": "still-at-amazon"}) == (told["windows"], told["cause"])


def test_who_never_got_a_report_is_told_so(world: World) -> None:
    """A window that nothing was asked for is not said to be on its way."""
    world.break_with("report_ends", status="PENDING")
    account = world.account()
    world.ask(account, OTHER)
    world.ask(account, THIRD)
    with pytest.raises(WindowNotLoadedError, match="was not requested: No slot is free"):
        load_by_hand(world, account, DAY, minutes=50)


def test_days_that_cannot_be_requested_fail_and_the_others_are_loaded(world: World) -> None:
    """The error says why of each, with the oldest day that can be chosen and the time zone, and which were loaded; Home does not."""
    account, too_old = world.account(), TODAY - timedelta(days=800)
    not_over = [TODAY, TODAY + timedelta(days=1)]
    with pytest.raises(
        WindowNotLoadedError, match=r"no longer serves this day; the oldest .* is 2"
    ) as caught:
        load_by_hand(world, account, *not_over, DAY, too_old)
    assert ([too_old, *not_over], [DAY]) == (sorted(caught.value.causes), caught.value.loaded)
    assert f"not over in the account's time zone ({account.time_zone})" in str(caught.value)
    assert (1, 1) == (world.window(account, DAY).load_count, len(world.accepted()))
    with world.engine.begin() as connection:
        assert [] == [*failed_sessions(connection, Settings(), utc_now())]
    told = {
        one["reason"]: (one["windows"], one["detail"]) for one in world.actions("window-skipped")
    }
    assert ([str(day) for day in not_over], account.time_zone) == told[SkipReason.NOT_OVER]
    assert [str(too_old)] == told[SkipReason.NOT_SERVED][0]


def test_loaded_day_past_a_shorter_history_is_refused_at_once(world: World) -> None:
    """It keeps its data, and nobody waits for a report that is not requested."""
    account = world.account()
    load_by_hand(world, account, OTHER)
    world.shorten_history(100)
    waits: list[str] = []
    with pytest.raises(WindowNotLoadedError, match="no longer serves this day"):
        load_by_hand(world, account, OTHER, on_progress=waits.append)
    assert ([], 1) == (waits, world.window(account, OTHER).load_count)


def test_an_account_that_turns_out_to_need_a_person_is_asked_for_no_more(world: World) -> None:
    """With the token revoked the first report finds it out, and no other is tried: all rest as they were planned."""
    world.context.client_for("default")._auth._token = None
    world.break_with("token", what="revoked")
    with pytest.raises(AccountStoppedError, match="refused our refresh token"):
        load_by_hand(world, world.account(), DAY, OTHER, THIRD)
    requests = tuples(world.engine, "SELECT status, attempts FROM report_requests")
    assert [("planned", 0)] * 3 == requests
    attached = "SELECT count(DISTINCT request_id) FROM report_windows"
    assert [1] == column(world.engine, attached)
    with pytest.raises(AccountStoppedError, match="refused our refresh token"):
        load_by_hand(world, world.account(), DAY)
