"""`GET /api/trends`: the figures of four charts, over a week or a month."""

import pytest

from bidbeacon_sessions import SessionStore
from tests.web.test_product_routes import client_of

NAMES = ["due_to_created", "created_to_complete", "ready_to_loaded", "rows_an_hour"]


@pytest.mark.parametrize(("query", "days", "count"), [({}, 7, 28), ({"days": "30"}, 30, 30)])
def test_trends_cover_a_week_or_a_month(
    session_store: SessionStore, query: dict[str, str], days: int, count: int
) -> None:
    """A week unless told otherwise; all charts are there without data, too."""
    with client_of(session_store) as client:
        trends = client.get("/api/trends", params=query).raise_for_status().json()
    assert (days, NAMES) == (trends["days"], [chart["name"] for chart in trends["charts"]])
    assert [count] * 4 == [len(chart["values"]) for chart in trends["charts"]]


def test_other_spans_are_refused(session_store: SessionStore) -> None:
    """With the spans that there are."""
    with client_of(session_store) as client:
        answer = client.get("/api/trends", params={"days": "8"})
    assert (400, True) == (answer.status_code, "'7' or '30'" in answer.text)
