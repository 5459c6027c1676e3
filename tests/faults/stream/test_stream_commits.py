"""Writers with transactions of every kind (late, rolled back, prepared, long), and with large or odd sessions."""

import psycopg
import pytest

from bidbeacon_sessions import Action, SessionStore, with_job_session
from tests.faults.stream.stage import Stage

pytestmark = pytest.mark.faults

ODD_TEXTS = (
    "nul \x00 in it",
    "lone \ud800 surrogate",
    "</script><script>alert(1)</script>",
    "\u202egnp.exe",
)
ODD_NUMBERS = (2**63 - 1, 2**63, -(2**63), 2**64 + 1)


class OddThingSeen(Action):
    """Something odd from outside."""

    sentence = "Saw {what}"
    tone = "neutral"

    what: str
    number: int


def test_stream_writers_of_every_kind_lose_nothing(stage: Stage) -> None:
    """Waits between write and commit, one rollback in ten, savepoints, prepared and late transactions: all arrives, and nothing else."""
    server = stage.server()
    stage.follow_both(server)
    stage.writer(4)
    stage.wait_for_commits(50)
    stage.follow_both(server)
    stage.finish()
    assert stage.count_acknowledged() > 300


def test_stream_a_prepared_transaction_comes_when_it_is_committed(stage: Stage) -> None:
    """It outlives its connection and a crash of the server, and comes late; one that is rolled back never comes."""
    reader = stage.follow(stage.server())
    for name in ("kept", "undone"):
        with psycopg.connect(stage.url) as connection:
            connection.execute(
                "INSERT INTO session_headers (id, job_name, started_at) VALUES (gen_random_uuid(), %s, now())",
                [name],
            )
            connection.execute(f"PREPARE TRANSACTION '{stage.database}-{name}'".encode())
    stage.settle()
    stage.cluster.crash()
    stage.settle()
    assert {"the-end"} == {one["job_name"] for one in reader.view.sessions.values()}
    stage.rows(f"COMMIT PREPARED '{stage.database}-kept'")
    stage.rows(f"ROLLBACK PREPARED '{stage.database}-undone'")
    stage.settle()
    assert {"the-end", "kept"} == {one["job_name"] for one in reader.view.sessions.values()}
    stage.judge()


def test_stream_unrelated_long_transactions_hold_nothing_up(stage: Stage) -> None:
    """While one that has written is open here and one in another database, all arrives."""
    stage.follow(stage.server())
    with (
        psycopg.connect(stage.url) as here,
        psycopg.connect(stage.cluster.url("postgres")) as elsewhere,
    ):
        for one in (here, elsewhere):
            one.execute("CREATE TEMP TABLE unrelated AS SELECT pg_current_xact_id()")
        stage.writer()
        stage.finish()
        [(still_open,)] = stage.rows(
            "SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xid IS NOT NULL"
        )
    assert 2 == still_open


def test_stream_five_thousand_actions_in_one_session(stage: Stage) -> None:
    """Each arrives once, with readers that were there, and with one that loads in the middle."""
    server = stage.server()
    [there, _] = stage.follow_both(server)
    stage.writer(sessions=1, actions=7_000, wait=0)
    stage.wait_for_commits(1_500)
    stage.follow_both(server)
    stage.finish()
    assert 5_000 < max(one["action_count"] for one in there.view.sessions.values())


def test_stream_odd_payloads_arrive_as_they_are_stored(stage: Stage) -> None:
    """NUL, lone surrogates, numbers beyond 2^63, `</script>` and right-to-left marks break no frame."""
    readers = stage.follow_both(stage.server())
    store = SessionStore.connect(stage.url)
    with with_job_session(
        "</script>", input={text: text for text in ODD_TEXTS}, store=store
    ) as session:
        for text in ODD_TEXTS:
            for number in ODD_NUMBERS:
                session.add(OddThingSeen(what=text, number=number))
    store.dispose()
    stage.finish()
    for reader in readers:
        payloads = [
            one["payload"]
            for one in reader.view.actions.values()
            if one["type"] == "odd-thing-seen"
        ]
        assert {*ODD_NUMBERS} == {payload["number"] for payload in payloads}
        assert "</script><script>alert(1)</script>" in {payload["what"] for payload in payloads}
