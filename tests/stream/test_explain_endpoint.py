"""`GET /api/explain`: what it answers, what it refuses, and that it is guarded like everything else."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date
from typing import Any

import httpx
import pytest

from bidbeacon_pipelines.services.explainer import window_explainer
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import NothingToExplainError, StreamServer
from bidbeacon_sessions.server.app import create_app
from bidbeacon_sessions.settings import get_session_settings

QUESTION = {"account": "US.one", "dataset": "daily_targets", "window": "2026-11-23"}
Serve = Callable[..., AbstractContextManager[StreamServer]]


def explain(account: str, dataset: str, window: date) -> dict[str, Any]:
    """Explain the windows of one account."""
    if account != "US.one":
        raise NothingToExplainError(f"There is no account {account!r}.", "Look for its key.")
    return {"verdict": {"cause": "fresh"}, "asked": [account, dataset, window.isoformat()]}


@pytest.fixture
def explaining(session_store: SessionStore, serve_stream: Serve) -> Iterator[httpx.Client]:
    """A client of a stream that explains."""
    with (
        serve_stream(session_store, explainer=explain) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=15) as client,
    ):
        yield client


def test_the_explainers_answer_is_given_as_it_is(explaining: httpx.Client) -> None:
    """The three parameters reach it, the day as a day."""
    response = explaining.get("/api/explain", params=QUESTION)
    assert 200 == response.status_code
    assert ["US.one", "daily_targets", "2026-11-23"] == response.json()["asked"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"account": ""}, "The parameter account is missing."),
        ({"window": ""}, "The parameter window is missing."),
        ({"window": "yesterday"}, "Expected window to be a day like 2026-11-23, got: 'yesterday'."),
        ({"window": "2026-02-30"}, "Expected window to be a day"),
        ({"window": "9999-12-31"}, "Expected window to be a day"),
        ({"dataset": "x" * 201}, "The value of dataset is too long"),
        ({"windows": "2026-11-23"}, "Unknown parameter 'windows'."),
    ],
)
def test_a_question_that_is_none_is_400(
    explaining: httpx.Client, question: dict[str, str], said: str
) -> None:
    """What was expected, what came, and how to ask."""
    response = explaining.get("/api/explain", params=QUESTION | question)
    assert 400 == response.status_code
    assert said in response.json()["error"]
    assert response.json()["what_to_do"].startswith("Ask like /api/explain?account=")


def test_what_the_explainer_does_not_know_is_404(explaining: httpx.Client) -> None:
    """With its own words."""
    response = explaining.get("/api/explain", params=QUESTION | {"account": "US.two"})
    assert 404 == response.status_code
    assert {"error": "There is no account 'US.two'.", "what_to_do": "Look for its key."} == response.json()


def test_a_stream_without_an_explainer_says_so(http: httpx.Client) -> None:
    """The stream of another project knows no windows."""
    response = http.get("/api/explain", params=QUESTION)
    assert (404, "This stream knows no windows.") == (response.status_code, response.json()["error"])


def test_without_the_token_nothing_is_explained(
    session_store: SessionStore, serve_stream: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint is guarded like the sessions."""
    monkeypatch.setenv("BIDBEACON_STREAM_TOKEN", "a-long-random-token")
    get_session_settings.cache_clear()
    with serve_stream(session_store, explainer=explain) as server:
        address = f"http://127.0.0.1:{server.port}/api/explain"
        allowed = {"Authorization": "Bearer a-long-random-token"}
        assert 401 == httpx.get(address, params=QUESTION).status_code
        assert 200 == httpx.get(address, params=QUESTION, headers=allowed).status_code


def test_the_pipelines_explainer_reads_the_same_database(
    session_store: SessionStore, serve_stream: Serve
) -> None:
    """In a database without accounts every account is unknown, with where to find the keys."""
    with serve_stream(session_store, explainer=window_explainer(session_store, Settings())) as server:
        response = httpx.get(f"http://127.0.0.1:{server.port}/api/explain", params=QUESTION)
    assert 404 == response.status_code
    assert "There is no account 'US.one'" in response.json()["error"]


def test_the_app_holds_its_explainer(session_store: SessionStore) -> None:
    """Whoever mounts the app in another gives it there."""
    assert create_app(session_store, explainer=explain).state.explainer is explain
