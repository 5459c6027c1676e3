"""Commands about one window: why it is as it is, and how its numbers changed."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from bidbeacon_pipelines.accounts.names import get_named_account
from bidbeacon_pipelines.cli.database import open_store
from bidbeacon_pipelines.cli.options import (
    AccountOption,
    CountryOption,
    DatasetOption,
    DayOption,
    parse_day,
)
from bidbeacon_pipelines.cli.output import (
    SEVERITIES,
    Json,
    console,
    print_hanging,
    print_json,
    print_line,
    table_of,
)
from bidbeacon_pipelines.cli.session_output import MARKS, print_actions
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.fields import product_name
from bidbeacon_pipelines.datasets.registry import get_dataset
from bidbeacon_pipelines.loading.restatements import list_window_loads
from bidbeacon_pipelines.problems.explain import Question, explain_day, explanation_json
from bidbeacon_pipelines.settings import get_settings

_FACTS: Final = {
    "window": ("status", "next_refresh_at", "as_of", "is_final", "row_count"),
    "request": (
        "report_id",
        "status",
        "amazon_status",
        "attempts",
        "polls",
        "sent_at",
        "next_step_at",
    ),
    "account": ("time_zone", "paused", "amazon_status"),
}
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
    """Print an explanation (as `problems.explain.explanation_json`): its verdict, facts, and the actions on the window, newest first."""
    verdict = explanation["verdict"]
    mark, style = SEVERITIES[verdict["severity"]]
    label, window = (explanation["account_label"], "blue"), (explanation["window"], "magenta")
    console.print(Text.assemble(label, f" {explanation['dataset']} ", window))
    console.print(Text(f"{mark} {verdict['state']}", style))
    for line in filter(None, (verdict["sentence"], verdict["advice"])):
        print_hanging(console, Text("  "), Text(line))
    if verdict["session"] is not None:
        _print_link(verdict["session"]["url"], 2)
    if len(explanation["reports"]) > 1:
        _print_reports(explanation)
    for subject, names in _FACTS.items():
        if (facts := explanation["facts"][subject]) is not None:
            console.print(Text(f"\n{subject}", "bold"))
            for name in names:
                shown = f"{name.replace('_', ' ').removesuffix(' at'):<14}"
                print_hanging(console, Text(f"  {shown}  ", "dim"), _value(name, facts[name]))
    console.print(Text.assemble("\n", ("what refers to it", "bold"), ", newest first, in UTC"))
    _print_timeline(explanation["timeline"], explanation["account"])


def _print_link(url: str, indent: int) -> None:
    """Print an address on one line, however long it is, so that it can be opened and copied."""
    line = Text(" " * indent).append(url, f"dim link {url}")
    console.print(line, soft_wrap=True)


def _print_reports(explanation: Mapping[str, Any]) -> None:
    """Print the severity of each report of the day, the explained one marked."""
    for report, verdict in explanation["reports"].items():
        mark, style = SEVERITIES[verdict["severity"]]
        shown = "explained above" if report == explanation["report"] else verdict["sentence"]
        print_hanging(console, Text.assemble("  ", (mark, style), f" {report}  "), Text(shown))


def _value(name: str, value: Any) -> Text:
    if value is None:
        return Text("–", "dim")
    if name.endswith(("_at", "as_of")):
        return Text(f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    return Text({True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value))


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
        _print_link(first["url"], 4)
        print_actions(console, of_session, account, form="  %Y-%m-%d %H:%M:%S", zone=UTC)


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
    for (ad_product, currency), some in _by_product(loads):
        heads = ("load", *metrics, "changed", "new", "gone")
        rows = [
            (
                f"{load['load_number']}: T+{load['age_days']}",
                *(_number(name, load[name]) for name in metrics),
                *(f"{load[name]:,}" for name in _COUNTS),
            )
            for load in some
        ]
        title = f"\n{product_name(ad_product)}, {currency}; rows changed, new and gone"
        console.print(table_of(title, heads, rows))
        if len(some) > 1:
            changes = (f"{name} {_number(name, _change(some, name), '+')}" for name in metrics)
            print_line(f"From {rows[0][0]} to {rows[-1][0]}: {', '.join(changes)}.")


def _by_product(
    loads: Sequence[Mapping[Any, Any]],
) -> Iterator[tuple[tuple[str, str], list[Mapping[Any, Any]]]]:
    for of, group in groupby(loads, key=lambda load: (load["ad_product"], load["currency_code"])):
        yield of, list(group)


def _number(name: str, value: Decimal, sign: str = "") -> str:
    return f"{value:{sign},.{2 if name in _AMOUNTS else 0}f}"


def _change(loads: Sequence[Mapping[Any, Any]], name: str) -> Decimal:
    changed: Decimal = loads[-1][name] - loads[0][name]
    return changed


def _loads_json(loads: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    """Return exact amounts as text; `change` is from the first to the last of these loads, by ad product and currency."""
    change: dict[str, dict[str, dict[str, str]]] = {}
    for (ad_product, currency), some in _by_product(loads):
        changes = {name: str(_change(some, name)) for name in _METRICS}
        change.setdefault(ad_product, {})[currency] = changes
    return {"loads": [dict(load) for load in loads], "change": change}
