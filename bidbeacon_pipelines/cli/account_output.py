"""Prints accounts for a terminal of 80 columns: three lines each, with the whole key beside the name, so that it can be copied."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bidbeacon_pipelines.accounts.cadence import describe_cadence
from bidbeacon_pipelines.accounts.cadence_queries import StoredCadence
from bidbeacon_pipelines.accounts.queries import Account
from bidbeacon_pipelines.windows.queries import DatasetCoverage

_NONE = "No accounts are stored yet: run `bidbeacon accounts sync`."


def print_accounts(
    console: Console,
    accounts: Sequence[Account],
    cadences: Mapping[str, StoredCadence],
    coverage: Sequence[DatasetCoverage],
) -> None:
    """Print accounts in the given order, each with its cadence and how complete its data is."""
    if not accounts:
        console.print(_NONE, highlight=False)
    for account in accounts:
        of_account = [row for row in coverage if row.account_key == account.account_key]
        console.print(_head(account), soft_wrap=True)
        for line in _lines(account, describe_cadence(cadences[account.account_id]), of_account):
            console.print(Padding(line, (0, 0, 0, 2), expand=False), highlight=False)


def _head(account: Account) -> Text:
    """Return mark, name and key; never broken, so that a key can be copied at any width."""
    line = (
        Text("● ", style="green") if account.reason_to_skip is None else Text("■ ", style="yellow")
    )
    line.append(account.label, style="bold blue")
    line.append(f"  {account.account_key}", style="dim")
    return line


def _lines(account: Account, cadence: str, coverage: Sequence[DatasetCoverage]) -> Iterator[Text]:
    """Yield the lines below: why it is not refreshed, if so; its settings; its data."""
    if account.reason_to_skip is not None:
        yield Text(f"not refreshed: {account.reason_to_skip}", style="yellow")
    if account.paused_at is not None:
        yield Text(
            f"paused by {account.paused_by} at {account.paused_at:%Y-%m-%d %H:%M} UTC",
            style="yellow",
        )
    if account.alias is not None:
        yield Text(f"an alias of {account.name}", style="dim")
    yield Text(f"{account.currency_code}, {account.time_zone}, refreshed {cadence}", style="dim")
    yield _covered(coverage)


def _covered(datasets: Sequence[DatasetCoverage]) -> Text:
    """Return how complete an account is over all of its datasets, without zero counts."""
    if not datasets:
        return Text("no windows yet", style="dim")
    counts = {
        name: sum(getattr(dataset, name) for dataset in datasets)
        for name in ("windows", "loaded", "due", "in_flight", "failed")
    }
    counted = [
        f"{counts['loaded']:,} of {counts['windows']:,} windows of {len(datasets)} datasets loaded"
    ]
    counted += [
        f"{counts[name]:,} {word}"
        for name, word in (("due", "due"), ("in_flight", "in flight"), ("failed", "failed"))
        if counts[name]
    ]
    return Text(", ".join(counted))
