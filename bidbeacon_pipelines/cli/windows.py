"""Commands on report windows: why one is as it is, how its numbers changed, and which rows were set aside."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from itertools import groupby
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from bidbeacon_pipelines.accounts.names import get_named_account
from bidbeacon_pipelines.causes import explain as explain_cause
from bidbeacon_pipelines.cli.options import (
    AccountOption,
    CountryOption,
    DatasetOption,
    DayOption,
    OnlyAccount,
    OnlyDataset,
    open_store,
    parse_day,
)
from bidbeacon_pipelines.cli.output import (
    SEVERITIES,
    Json,
    console,
    print_entry,
    print_hanging,
    print_json,
    print_line,
    print_link,
    print_list,
    table_of,
)
from bidbeacon_pipelines.cli.sessions import MARKS, print_actions
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.fields import product_name
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.loading.quarantine_queries import list_quarantined_rows
from bidbeacon_pipelines.loading.restatements import list_window_loads
from bidbeacon_pipelines.problems.explain import Question, explain_day, explanation_json
from bidbeacon_pipelines.settings import get_settings

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
        typer.Option(
            help="Of several reports of the dataset this one, such as SP+SD; absent: the worst."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain the state of a report window, what happens next and when, and list its actions; exits with 2 for unknown names."""
    day, settings, of_dataset = parse_day(window), get_settings(), get_dataset(dataset)
    with open_store().snapshot() as connection:
        now = read_now(connection, settings)
        asked = Question(get_named_account(connection, account, country), of_dataset, day, now)
        explained = explain_day(connection, settings, asked)
        explanation = explanation_json(connection, asked, explained, report)
    if as_json:
        print_json(explanation)
    else:
        print_explanation(explanation)


def print_explanation(explanation: Mapping[str, Any]) -> None:
    """Print an explanation (as `problems.explain.explanation_json`): its verdict, and the actions on the window, newest first."""
    verdict, session = explanation["verdict"], explanation["verdict"]["session"]
    label, window = (explanation["account_label"], "blue"), (explanation["window"], "magenta")
    console.print(Text.assemble(label, f" {explanation['dataset']} ", window))
    lines = filter(None, (verdict["sentence"], verdict["advice"]))
    print_entry(verdict["severity"], Text(verdict["state"]), lines, session and session["url"])
    if len(explanation["reports"]) > 1:
        _print_reports(explanation)
    console.print(Text.assemble("\n", ("what refers to it", "bold"), ", newest first, in UTC"))
    _print_timeline(explanation["timeline"], explanation["account"])


def _print_reports(explanation: Mapping[str, Any]) -> None:
    """Print the severity of each report of the day, the explained one marked."""
    for report, verdict in explanation["reports"].items():
        mark, style = SEVERITIES[verdict["severity"]]
        shown = "explained above" if report == explanation["report"] else verdict["sentence"]
        print_hanging(Text.assemble("  ", (mark, style), f" {report}  "), Text(shown))


def _print_timeline(actions: Sequence[Mapping[str, Any]], account: str) -> None:
    """Print the actions on an account's window under their sessions, newest first, each session with its address."""
    if not actions:
        console.print(Text("  nothing yet", "dim"))
    for _, group in groupby(reversed(actions), key=lambda action: action["session_id"]):
        of_session = list(group)
        first = of_session[0]
        console.print(
            Text.assemble("  ", MARKS[first["session_mark"]], " ", (first["job_name"], "bold"))
        )
        print_link(first["url"], 4)
        print_actions(of_session, account, form="  %Y-%m-%d %H:%M:%S", zone=UTC)


def restatements(
    account: AccountOption,
    window: DayOption,
    country: CountryOption = None,
    dataset: DatasetOption = "daily_targets",
    as_json: Json = False,
) -> None:
    """Show how the numbers of a day changed from load to load, as Amazon restated them: its totals at T+1, T+3 and so on."""
    day, found = parse_day(window), get_dataset(dataset)
    with open_store().begin() as connection:
        of_account = get_named_account(connection, account, country)
        loads = list_window_loads(connection, of_account, found.name, day)
    if as_json:
        named = {"account": of_account.account_key, "account_label": of_account.label}
        print_json(named | {"dataset": dataset, "window": str(day)} | _loads_json(loads))
        return
    print_line(f"{of_account.label} {dataset} {day}")
    print_loads(loads, found.columns)
    if not loads:
        print_line("It has not been loaded yet.")


def print_loads(loads: Sequence[Mapping[Any, Any]], columns: Sequence[str]) -> None:
    """Print a line a load, and what they changed in all; each ad product and currency by itself.

    Of the metrics only those that are `columns` of the dataset are printed.
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
        title = f"\n{product_name(ad_product)}, {currency}; rows changed, new and gone"
        console.print(table_of(title, ("load", *metrics, "changed", "new", "gone"), rows))


def _by_product(
    loads: Sequence[Mapping[Any, Any]],
) -> dict[tuple[str, str], list[Mapping[Any, Any]]]:
    groups = groupby(loads, key=lambda load: (load["ad_product"], load["currency_code"]))
    return {of: list(group) for of, group in groups}


def _number(name: str, value: Decimal, sign: str = "") -> str:
    return f"{value:{sign},.{2 if name in _AMOUNTS else 0}f}"


def _change(loads: Sequence[Mapping[Any, Any]], name: str) -> Decimal:
    changed: Decimal = loads[-1][name] - loads[0][name]
    return changed


def _loads_json(loads: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    """Return exact amounts as text; `change` is from the first to the last of these loads, by ad product and currency."""
    change: dict[str, dict[str, dict[str, str]]] = {}
    for (ad_product, currency), some in _by_product(loads).items():
        changes = {name: str(_change(some, name)) for name in _METRICS}
        change.setdefault(ad_product, {})[currency] = changes
    return {"loads": [dict(load) for load in loads], "change": change}


def quarantine_list(
    account: OnlyAccount = None,
    country: CountryOption = None,
    dataset: OnlyDataset = None,
    window: Annotated[str | None, typer.Option(help="Only this day: 2026-11-23.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only rows whose reason contains this text.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """Show quarantined rows, newest first, each as received and with the reason."""
    day = None if window is None else parse_day(window)
    if dataset is not None:
        get_dataset(dataset)
    with open_store().begin() as connection:
        named = None if account is None else get_named_account(connection, account, country)
        key = None if named is None else named.account_key
        rows = list_quarantined_rows(
            connection, account=key, dataset=dataset, day=day, reason=reason, limit=limit
        )
    shown = [dict(row) for row in rows]
    print_list(shown, _print_row, as_json=as_json, if_empty="No row in quarantine matches.")


def _print_row(row: Mapping[str, Any]) -> None:
    """Print a row's origin, why it is invalid, and its raw text."""
    outcome = "" if row["is_loaded"] else "  (not loaded: the report was refused)"
    day = str(row["window_date"] or "no readable day")
    origin = (f"  row {row['row_number']} of request {row['request_id']}{outcome}", "dim")
    label = (row["account_label"], "blue")
    head = Text.assemble(label, f" {row['dataset']} ", (day, "magenta"), origin)
    console.print(head)
    print_hanging(Text("  "), Text(explain_cause(row["cause"]).sentence, "yellow"))
    print_hanging(Text("  "), Text(row["raw"], "dim"))
