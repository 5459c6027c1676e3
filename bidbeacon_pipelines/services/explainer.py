"""The answer to the stream's `GET /api/explain`; the stream itself knows no windows."""

from datetime import date
from typing import Any

from bidbeacon_pipelines.reports.verdicts import Cause
from bidbeacon_pipelines.services.explain import explain_window, explanation_json
from bidbeacon_pipelines.settings import Settings
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.clock import Clock, utc_now
from bidbeacon_sessions.server import Explainer, NothingToExplainError

_WHAT_TO_DO = {
    Cause.UNKNOWN_ACCOUNT: "Take the key of an account from a session's tag, or from `bidbeacon accounts list`.",
    Cause.UNKNOWN_DATASET: "Take the name of a dataset from a session's sentence.",
}


def window_explainer(store: SessionStore, settings: Settings, *, clock: Clock = utc_now) -> Explainer:
    """Give the function that explains windows of the store's database."""

    def explain(account: str, dataset: str, window: date) -> dict[str, Any]:
        with store.snapshot() as connection:
            told = explain_window(connection, settings, account, dataset, window, now=clock())
        what_to_do = _WHAT_TO_DO.get(told.verdict.cause)
        if what_to_do is not None:
            raise NothingToExplainError(told.verdict.sentence, what_to_do)
        return explanation_json(told)

    return explain
