"""Writers with transactions of every kind (late, rolled back, prepared, long), and with large or odd sessions."""

import pytest

from bidbeacon_sessions import SessionStore
from tests.faults.stream.stage import Stage
from tests.stream.writing import start_session

pytestmark = pytest.mark.faults


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
    store = SessionStore.connect(stage.url)
    for name in ("kept", "undone"):
        with store.engine.connect() as connection:
            start_session(connection, job=name)
            connection.exec_driver_sql(f"PREPARE TRANSACTION '{stage.database}-{name}'")
    store.dispose()
    stage.settle()
    stage.cluster.crash()
    stage.settle()
    assert {"the-end"} == {one["job_name"] for one in reader.view.sessions.values()}
    stage.rows(f"COMMIT PREPARED '{stage.database}-kept'")
    stage.rows(f"ROLLBACK PREPARED '{stage.database}-undone'")
    stage.settle()
    assert {"the-end", "kept"} == {one["job_name"] for one in reader.view.sessions.values()}
    stage.judge()


def test_stream_five_thousand_actions_in_one_session(stage: Stage) -> None:
    """Each arrives once, with readers that were there, and with one that loads in the middle."""
    server = stage.server()
    [there, _] = stage.follow_both(server)
    stage.writer(sessions=1, actions=7_000, wait=0)
    stage.wait_for_commits(1_500)
    stage.follow_both(server)
    stage.finish()
    assert 5_000 < max(one["action_count"] for one in there.view.sessions.values())
