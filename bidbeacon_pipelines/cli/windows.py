"""Commands for report windows: explanations, restatements, quarantine and decisions."""

from collections.abc import Sequence
from datetime import UTC, date
from decimal import Decimal
from itertools import groupby
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from bidbeacon_pipelines.accounts.changes import COMMAND_LINE
from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.causes import explain as explain_cause
from bidbeacon_pipelines.cli.days import parse_day, parse_windows
from bidbeacon_pipelines.cli.options import (
    AccountOption,
    CountryOption,
    DatasetOption,
    DayOption,
    DaysOption,
    OnlyAccount,
    OnlyDataset,
    OnlyDay,
    get_account,
    get_today,
    open_store,
)
from bidbeacon_pipelines.cli.output import (
    Json,
    Row,
    console,
    print_entry,
    print_json,
    print_lines,
    print_list,
    table_of,
)
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.fields import product_name
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.loading.quarantine_queries import list_quarantined_rows
from bidbeacon_pipelines.loading.restatements import find_first_kept_day, list_window_loads
from bidbeacon_pipelines.problems.explain import Question, explain_day
from bidbeacon_pipelines.problems.findings import counted
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.windows.rules import local_date
from bidbeacon_pipelines.windows.wanted import decide_days
from bidbeacon_sessions.clock import DAYS_AGO
from bidbeacon_sessions.errors import UsageError
from bidbeacon_sessions.terminal import action_line

_METRICS: Final = ("spend", "sales", "orders", "clicks", "impressions")
_COUNTS: Final = ("rows_changed", "rows_appeared", "rows_vanished")
_AMOUNTS: Final = frozenset({"spend", "sales"})


def explain(
    account: AccountOption,
    window: DayOption,
    country: CountryOption = None,
    dataset: DatasetOption = "daily_targets",
    report: Annotated[
        str | None,
        typer.Option(help="The report, such as SP+SD (default: the one in the worst state)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain the state of a report window and its next step, and list the window's actions.

    Exits with 2 if a name or report is unknown.
    """
    settings, of_dataset = get_settings(), get_dataset(dataset)
    with open_store().snapshot() as connection:
        now, found = read_now(connection, settings), get_account(account, country)
        day = parse_day(window, local_date(now, found.time_zone))
        question = Question(found, of_dataset, day, now)
        explanation = explain_day(connection, settings, question, report)
    if as_json:
        print_json(explanation)
    else:
        print_explanation(explanation)


def print_explanation(explanation: Row) -> None:
    """Print the result of `explain_day`: state and advice, then actions, newest first."""
    verdict, session = explanation["verdict"], explanation["verdict"]["session"]
    label, window = (explanation["account_label"], "blue"), (explanation["window"], "magenta")
    console.print(Text.assemble(label, f" {explanation['dataset']} ", window))
    of = f"{explanation['report']}: " if len(explanation["reports"]) > 1 else ""
    head, lines = Text(f"{of}{verdict['state']}"), (verdict["sentence"], verdict["advice"])
    print_entry(verdict["severity"], head, lines, session and session["url"])
    if explanation["left_out"]:
        named = ", ".join(explanation["left_out"])
        print_entry("warning", Text(f"Amazon leaves out campaigns without ad groups: {named}"))
    for report, other in explanation["reports"].items():
        if report != explanation["report"]:
            print_entry(other["severity"], Text(f"{report}: {other['sentence']}"))
    console.print(Text.assemble("\n", ("actions of the window", "bold"), ", newest first, in UTC"))
    account, timeline = explanation["account"], reversed(explanation["timeline"])
    for _, group in groupby(timeline, key=lambda action: action["session_id"]):
        actions = list(group)
        first = actions[0]
        print_entry(first["session_mark"], Text(first["job_name"], "bold"), link=first["url"])
        print_lines(
            action_line(one, account, form="%Y-%m-%d %H:%M:%S", zone=UTC) for one in actions
        )
    if not explanation["timeline"]:
        console.print("  no actions yet", style="dim")


def restatements(
    account: AccountOption,
    window: DayOption,
    country: CountryOption = None,
    dataset: DatasetOption = "daily_targets",
    as_json: Json = False,
) -> None:
    """Show the totals of a day at its first load, and after each load that changed them."""
    found, of_account = get_dataset(dataset), get_account(account, country)
    day = parse_day(window, get_today(of_account))
    with open_store().begin() as connection:
        loads = list_window_loads(connection, of_account, found.name, day)
        first_kept = find_first_kept_day(connection)
    if as_json:
        named = {"account": of_account.account_key, "account_label": of_account.label}
        print_json(named | {"dataset": dataset, "window": str(day)} | _loads_json(loads))
        return
    console.print(f"{of_account.label} {dataset} {day}")
    print_loads(loads, found.columns)
    if not loads and first_kept is not None and day < first_kept:
        console.print(f"Restatements of days before {first_kept} are deleted.")
    elif not loads:
        console.print("This day has not been loaded yet.")


def print_loads(loads: Sequence[Row], columns: Sequence[str]) -> None:
    """Print the loads that changed a day's totals, in one table per ad product and currency.

    If a table has several loads, a last line has the total change. The title says how old the day
    was, in days, when a report last confirmed the totals. Only metrics in `columns` are printed.
    """
    metrics = [name for name in _METRICS if name in columns]
    for (ad_product, currency), some in _by_product(loads).items():
        rows = [
            (
                f"{load['load_number']}: T+{load['age_days']}",
                *(_number(name, load[name]) for name in metrics),
                *(f"{load[name]:,}" for name in _COUNTS),
            )
            for load in some
        ]
        if len(some) > 1:
            rows.append(("in all", *(_number(name, _change(some, name), "+") for name in metrics)))
        confirmed = f"confirmed at T+{some[-1]['confirmed_age_days']}"
        title = f"\n{product_name(ad_product)}, {currency}, {confirmed}; rows changed, new and gone"
        console.print(table_of(title, ("load", *metrics, "changed", "new", "gone"), rows))


def _by_product(loads: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    groups = groupby(loads, key=lambda load: (load["ad_product"], load["currency_code"]))
    return {of: list(group) for of, group in groups}


def _number(name: str, value: Decimal, sign: str = "") -> str:
    return f"{value:{sign},.{2 if name in _AMOUNTS else 0}f}"


def _change(loads: Sequence[Row], name: str) -> Decimal:
    return Decimal(loads[-1][name] - loads[0][name])


def _loads_json(loads: Sequence[Row]) -> dict[str, Any]:
    # Amounts are exact, as text; `change` is from the first to the last load.
    change: dict[str, dict[str, dict[str, str]]] = {}
    for (ad_product, currency), some in _by_product(loads).items():
        changes = {name: str(_change(some, name)) for name in _METRICS}
        change.setdefault(ad_product, {})[currency] = changes
    return {"loads": [dict(load) for load in loads], "change": change}


def quarantine_list(
    account: OnlyAccount = None,
    country: CountryOption = None,
    dataset: OnlyDataset = None,
    window: OnlyDay = None,
    reason: Annotated[
        str | None, typer.Option(help="Only rows whose reason contains this text.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """Show quarantined rows, newest first: each row as received, and why it is invalid."""
    if dataset is not None:
        get_dataset(dataset)
    of = None if account is None else get_account(account, country)
    day = None if window is None else _get_day(window, of)
    key = None if of is None else of.account_key
    with open_store().begin() as connection:
        rows = list_quarantined_rows(
            connection, account=key, dataset=dataset, day=day, reason=reason, limit=limit
        )
    print_list(rows, _print_row, as_json=as_json, if_empty="No row in quarantine matches.")


def _get_day(window: str, account: Account | None) -> date:
    if account is not None:
        return parse_day(window, get_today(account))
    if window in DAYS_AGO:
        raise UsageError(f"window: {window} needs --account, since it is a day of its calendar.")
    return parse_day(window)


def windows_accept(
    account: AccountOption,
    window: DaysOption,
    country: CountryOption = None,
    dataset: DatasetOption = "daily_targets",
) -> None:
    """Load the next report of final days, even if it lacks most of the loaded rows.

    Final days need no further refresh. Only days that wait for a decision can be accepted: an
    earlier report lacked most of their loaded rows. Dagster requests their next report now.
    """
    decided = _decide(account, country, dataset, window, accepts=True)
    console.print(f"Accepted {decided}: Dagster requests a new report now, and loads its rows.")


def windows_keep(
    account: AccountOption,
    window: DaysOption,
    country: CountryOption = None,
    dataset: DatasetOption = "daily_targets",
) -> None:
    """Keep the loaded rows of final days, although a later report lacks most of these rows.

    Final days are days that need no further refresh.
    """
    decided = _decide(account, country, dataset, window, accepts=False)
    console.print(f"Kept the rows of {decided}.")


def _decide(
    named: str, country: str | None, dataset: str, windows: Sequence[str], *, accepts: bool
) -> str:
    found, account = get_dataset(dataset), get_account(named, country)
    days = parse_windows(windows, get_today(account))
    given = (open_store(), get_settings(), account, found, days)
    decided = decide_days(*given, accepts=accepts, by=COMMAND_LINE)
    return f"{counted(len(decided), 'day')} of {found.name} of {account.label}"


def _print_row(row: Row) -> None:
    outcome = "" if row["is_loaded"] else "  (not loaded: the report was refused)"
    day = str(row["window_date"] or "no readable day")
    origin = (f"  row {row['row_number']} of request {row['request_id']}{outcome}", "dim")
    label = (row["account_label"], "blue")
    head = Text.assemble(label, f" {row['dataset']} ", (day, "magenta"), origin)
    print_entry("warning", head, (explain_cause(row["cause"]).sentence, row["raw"]))
