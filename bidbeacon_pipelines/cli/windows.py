"""Commands about one window: why it is as it is, and how its numbers changed."""

from datetime import date
from typing import Annotated

import typer

from bidbeacon_pipelines.cli.account_names import AccountOption, CountryOption
from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import BadOptionError, plain_errors
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.settings import get_settings

Dataset = Annotated[str, typer.Option("--dataset", help="The dataset's name.")]
Day = Annotated[
    str, typer.Option("--window", help="A day, in the account's time zone: 2026-11-23.")
]

_OLDEST_AGE = 500


def parse_day(value: str) -> date:
    """Return the day of `2026-11-23`."""
    from bidbeacon_sessions.clock import read_day

    try:
        return read_day(value)
    except ValueError:
        raise BadOptionError(f"--window: expected a day like 2026-11-23, got: {value!r}.") from None


@plain_errors
def explain(
    account: AccountOption,
    window: Day,
    country: CountryOption = None,
    dataset: Dataset = "daily_targets",
    report: Annotated[
        str | None,
        typer.Option(
            help="Of several reports of the dataset this one, such as SP+SD; absent: the worst."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain the state of a report window, what happens next and when, and list its actions; exits with 2 for unknown names."""
    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.accounts.names import get_named_account
    from bidbeacon_pipelines.cli.window_output import print_explanation
    from bidbeacon_pipelines.database.clock import read_now
    from bidbeacon_pipelines.datasets.registry import get_dataset
    from bidbeacon_pipelines.problems.explain import Question, explain_day, explanation_json
    from bidbeacon_sessions import SessionStore

    day, settings, of_dataset = parse_day(window), get_settings(), get_dataset(dataset)
    store = SessionStore.connect(database_url(settings))
    with store.snapshot() as connection:
        now = read_now(connection, settings)
        found = get_named_account(connection, account, country)
        asked = Question(found, of_dataset, day, now)
        explained = explain_day(connection, settings, asked)
        explanation = explanation_json(connection, asked, explained, report)
    if as_json:
        print_json(explanation)
    else:
        print_explanation(console, explanation)


@plain_errors
def restatements(
    account: AccountOption,
    window: Day,
    country: CountryOption = None,
    dataset: Dataset = "daily_targets",
    first: Annotated[
        int, typer.Option("--from", min=0, help="Only loads of this age in days or more: n of T+n.")
    ] = 0,
    last: Annotated[
        int, typer.Option("--to", min=0, help="Only loads of this age in days or less.")
    ] = _OLDEST_AGE,
    as_json: Json = False,
) -> None:
    """Show how the numbers of a day changed from load to load, as Amazon restated them: its totals at T+1, T+3 and so on."""
    from bidbeacon_pipelines.accounts.names import get_named_account
    from bidbeacon_pipelines.cli.window_output import loads_json, print_loads
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.datasets.registry import get_dataset
    from bidbeacon_pipelines.loading.restatements import list_window_loads

    day, found = parse_day(window), get_dataset(dataset)
    with shared_engine(database_url(get_settings())).begin() as connection:
        of_account = get_named_account(connection, account, country)
        loads = list_window_loads(connection, of_account, found.name, day)
    asked = [load for load in loads if first <= load.age_days <= last]
    if as_json:
        named = {"account": of_account.account_key, "account_label": of_account.label}
        print_json(named | {"dataset": dataset, "window": str(day)} | loads_json(asked))
        return
    console.print(f"{of_account.label} {dataset} {day}", highlight=False, markup=False)
    print_loads(console, asked, found.columns)
    if not asked:
        ages = ", ".join(dict.fromkeys(f"T+{load.age_days}" for load in loads)) or "none at all"
        console.print(f"No load of that age. Loads there are: {ages}.", highlight=False)
