"""Prints windows in a terminal of 80 columns: explanations, restatements and quarantined rows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.cli.session_output import MARKS, TONES, action_sentence
from bidbeacon_pipelines.datasets.fields import product_name
from bidbeacon_pipelines.loading.quarantine_queries import QuarantinedRow
from bidbeacon_pipelines.loading.restatements import WindowLoad

_SEVERITIES = {
    "fine": ("✔", "green"),
    "waiting": ("●", "cyan"),
    "warning": ("▲", "yellow"),
    "error": ("✘", "bold red"),
}
_FACTS = {
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
    "account": ("time_zone", "paused", "amazon_status", "needs_attention"),
}
_AMOUNTS = frozenset({"spend", "sales"})
_METRICS = ("spend", "sales", "orders", "clicks", "impressions")
_ROW_COUNTS = ("rows_changed", "rows_appeared", "rows_vanished")
_LOADS_A_TABLE = 4


def print_explanation(console: Console, explanation: Mapping[str, Any]) -> None:
    """Print an explanation (as `problems.explain.explanation_json`): its verdict, facts, and the actions on the window, newest first."""
    verdict = explanation["verdict"]
    mark, style = _SEVERITIES[verdict["severity"]]
    console.print(
        Text.assemble(
            (explanation["account_label"], "blue"),
            f" {explanation['dataset']} ",
            (explanation["window"], "magenta"),
        )
    )
    console.print(Text(f"{mark} {verdict['state']}", style=style))
    for line in filter(None, (verdict["sentence"], verdict["advice"])):
        console.print(Padding(Text(line), (0, 0, 0, 2)))
    if verdict["session"] is not None:
        url = verdict["session"]["url"]
        console.print(Padding(Text(url, style=f"dim link {url}", overflow="fold"), (0, 0, 0, 2)))
    if len(explanation["reports"]) > 1:
        console.print(_report_table(explanation))
    for subject, names in _FACTS.items():
        facts = explanation["facts"][subject]
        if facts is not None:
            console.print(Text(f"\n{subject}", style="bold"))
            console.print(Padding(_fact_table(facts, names), (0, 0, 0, 2)))
    console.print(
        Text.assemble("\n", ("what refers to it", "bold"), (", newest first, in UTC", "dim"))
    )
    for line in _timeline(explanation["timeline"]):
        console.print(line)


def _report_table(explanation: Mapping[str, Any]) -> Padding:
    """Return the severity of each report of the day, the explained one marked."""
    table = Table.grid(padding=(0, 2))
    for report, verdict in explanation["reports"].items():
        mark, style = _SEVERITIES[verdict["severity"]]
        shown = "explained above" if report == explanation["report"] else verdict["sentence"]
        table.add_row(Text(mark, style=style), report, shown)
    return Padding(table, (1, 0, 0, 2))


def _fact_table(facts: Mapping[str, Any], names: Sequence[str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name in names:
        table.add_row(name.replace("_", " ").removesuffix(" at"), _shown(name, facts[name]))
    return table


def _shown(name: str, value: Any) -> Text:
    if value is None:
        return Text("–", style="dim")
    if name.endswith(("_at", "as_of")):
        return Text(f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    return Text({True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value))


def _timeline(actions: Sequence[Mapping[str, Any]]) -> Iterator[Padding | Text]:
    """Yield the actions under their sessions, newest first, each session with its address."""
    if not actions:
        yield Text("  nothing yet", style="dim")
    for _, group in groupby(reversed(actions), key=lambda action: action["session_id"]):
        of_session = list(group)
        first = of_session[0]
        mark, style = MARKS[first["session_mark"]]
        yield Text.assemble("  ", (mark, style), " ", (first["job_name"], "bold"))
        yield Padding(
            Text(first["url"], style=f"dim link {first['url']}", no_wrap=True, overflow="fold"),
            (0, 0, 0, 4),
        )
        yield Padding(_action_table(of_session), (0, 0, 0, 4))


def _action_table(actions: Sequence[Mapping[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 1))
    for (_, tone), group in groupby(actions, key=lambda action: (_shape(action), action["tone"])):
        action, *earlier = group
        sentence = action_sentence(action)
        if earlier:
            sentence.append(f" ({len(earlier) + 1} × like this)", style="dim")
        at = datetime.fromisoformat(action["at"]).astimezone(UTC)
        table.add_row(
            Text(f"{at:%Y-%m-%d %H:%M:%S}", style="dim", no_wrap=True),
            Text("│", style=TONES[tone]),
            sentence,
        )
    return table


def _shape(action: Mapping[str, Any]) -> str:
    """Return what equal actions share, apart from their numbers and times."""
    words = str(action["text"]).split()
    return " ".join(
        [action["type"], *("#" if any(map(str.isdigit, word)) else word for word in words)]
    )


def print_loads(console: Console, loads: Sequence[WindowLoad], columns: Sequence[str]) -> None:
    """Print a column a load, some in one table, then what they changed in all; each ad product and currency by itself.

    Of the metrics only those that are `columns` of the dataset are printed.
    """
    metrics = [name for name in _METRICS if name in columns]
    for (ad_product, currency), group in groupby(loads, key=_totalled_by):
        console.print(f"\n{product_name(ad_product)}", style="bold", highlight=False)
        _print_loads_of(console, currency, list(group), metrics)


def _totalled_by(load: WindowLoad) -> tuple[str, str]:
    return load.ad_product, load.currency_code


def _print_loads_of(
    console: Console, currency: str, loads: Sequence[WindowLoad], metrics: Sequence[str]
) -> None:
    ages = _ages(loads)
    for start in range(0, len(loads), _LOADS_A_TABLE):
        end = start + _LOADS_A_TABLE
        console.print(_load_table(currency, loads[start:end], ages[start:end], metrics))
    if len(loads) > 1:
        changed = ", ".join(
            f"{name} {_change(loads, name):+,.2f}"
            if name in _AMOUNTS
            else f"{name} {_change(loads, name):+,}"
            for name in metrics
        )
        console.print(f"From {ages[0]} to {ages[-1]}: {changed}.", highlight=False)


def _ages(loads: Sequence[WindowLoad]) -> list[str]:
    """Return the heading of each load: its age, and a number if several have the same: `T+5`, `T+5 #2`."""
    seen: Counter[int] = Counter()
    named = []
    for load in loads:
        seen[load.age_days] += 1
        number = seen[load.age_days]
        named.append(f"T+{load.age_days}" + (f" #{number}" if number > 1 else ""))
    return named


def _load_table(
    currency: str, loads: Sequence[WindowLoad], ages: Sequence[str], metrics: Sequence[str]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    table.add_column(currency)
    for age in ages:
        table.add_column(age, justify="right", no_wrap=True)
    table.add_row(
        "as of, UTC",
        *(f"{load.data_as_of.astimezone(UTC):%m-%d %H:%M}" for load in loads),
        style="dim",
    )
    for name in metrics:
        table.add_row(name, *(_amount(name, getattr(load, name)) for load in loads))
    for name in _ROW_COUNTS:
        table.add_row(
            name.replace("_", " "), *(f"{getattr(load, name):,}" for load in loads), style="dim"
        )
    return table


def _amount(name: str, value: Decimal) -> str:
    return f"{value:,.2f}" if name in _AMOUNTS else f"{value:,.0f}"


def _change(loads: Sequence[WindowLoad], name: str) -> Decimal:
    changed: Decimal = getattr(loads[-1], name) - getattr(loads[0], name)
    return changed


def loads_json(loads: Sequence[WindowLoad]) -> dict[str, Any]:
    """Return exact amounts as text; `change` is from the first to the last of these loads, by ad product and currency."""
    change: dict[str, dict[str, dict[str, str]]] = {}
    for (ad_product, currency), group in groupby(loads, key=_totalled_by):
        some = list(group)
        change.setdefault(ad_product, {})[currency] = {
            name: str(_change(some, name)) for name in _METRICS
        }
    return {"loads": [_load_json(load) for load in loads], "change": change}


def _load_json(load: WindowLoad) -> dict[str, Any]:
    fields = load.__dict__ | {"data_as_of": load.data_as_of.astimezone(UTC).isoformat()}
    return {
        name: str(value) if isinstance(value, Decimal) else value for name, value in fields.items()
    }


def print_quarantined_row(console: Console, row: QuarantinedRow) -> None:
    """Print a row's origin, why it is invalid, and its raw text."""
    outcome = "" if row.is_loaded else "  (not loaded: the report was refused)"
    console.print(
        Text.assemble(
            (row.account_label, "blue"),
            f" {row.dataset} ",
            (str(row.window_date or "no readable day"), "magenta"),
            (f"  row {row.row_number} of request {row.request_id}{outcome}", "dim"),
        )
    )
    console.print(Padding(Text(explain(row.cause).sentence, style="yellow"), (0, 0, 0, 2)))
    console.print(Padding(Text(row.raw, style="dim"), (0, 0, 0, 2)))
