"""How tests ask why a window is as it is, and what is wrong."""

from datetime import date
from types import SimpleNamespace
from typing import Any

from bidbeacon_pipelines.accounts.queries import get_account
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.datasets.registry import Dataset
from bidbeacon_pipelines.problems.explain import Question, explain_day
from bidbeacon_pipelines.problems.findings import Finding
from bidbeacon_pipelines.problems.survey import survey
from tests.support.world import DATASET, World


def explained(
    world: World, account: Account, day: date, dataset: Dataset = DATASET
) -> SimpleNamespace:
    """Return the verdict on the worst window of a day, with its row of `window_states`."""
    found = explained_json(world, account, day, dataset)
    return SimpleNamespace(**found["verdict"], window=found["facts"]["window"])


def explained_json(
    world: World,
    account: Account,
    day: date,
    dataset: Dataset = DATASET,
    report: str | None = None,
) -> dict[str, Any]:
    """Return what the page and the command line show."""
    settings, now = world.context.settings, world.context.now()
    with world.sessions.snapshot() as connection:
        stored = get_account(connection, account.account_key)
        asked = Question(stored, dataset, day, now)
        return explain_day(connection, settings, asked, report)


def findings(world: World, *codes: str) -> list[Finding]:
    """Return what is wrong now, of all kinds or of some."""
    with world.sessions.snapshot() as connection:
        found = survey(connection, world.context.settings, world.context.now()).findings
    return [one for one in found if not codes or one.code in codes]
