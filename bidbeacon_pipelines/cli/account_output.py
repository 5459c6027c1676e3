"""Prints accounts for a terminal of 80 columns: three lines each, with the whole key beside the name, so that it can be copied."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from bidbeacon_pipelines.accounts.tables import Account
from bidbeacon_pipelines.windows.queries import DatasetCoverage

_COLUMNS: Final = (
    *(
        "account_key",
        "ads_account_key",
        "account_id",
        "country_code",
        "label",
        "name",
        "alias",
        "region",
        "profile_id",
    ),
    *(
        "amazon_status",
        "currency_code",
        "time_zone",
        "paused",
        "paused_by",
        "paused_at",
        "needs_attention",
        "entities_synced_at",
    ),
)
_NONE = "No accounts are stored yet: run `bidbeacon accounts sync`."


def account_json(account: Account, coverage: Sequence[DatasetCoverage]) -> dict[str, Any]:
    """Return an account with its cadence and how complete its data is."""
    ads_account = account.ads_account
    return {
        **{name: getattr(account, name) for name in _COLUMNS},
        "cadence": str(ads_account.cadence),
        "next_look_at": ads_account.next_look_at,
        "last_look_at": ads_account.last_look_at,
        "datasets": [row.__dict__ for row in coverage if row.account_key == account.account_key],
    }


def print_accounts(
    console: Console,
    accounts: Sequence[Account],
    coverage: Sequence[DatasetCoverage],
) -> None:
    """Print accounts in the given order, each with its cadence and how complete its data is."""
    if not accounts:
        console.print(_NONE, highlight=False)
    for account in accounts:
        of_account = [row for row in coverage if row.account_key == account.account_key]
        console.print(_head(account), soft_wrap=True)
        for line in _lines(account, of_account):
            console.print(Padding(line, (0, 0, 0, 2), expand=False), highlight=False)


def _head(account: Account) -> Text:
    """Return mark, name and key; never broken, so that a key can be copied at any width."""
    line = Text("● ", style="green") if account.stop_reason is None else Text("■ ", style="yellow")
    line.append(account.label, style="bold blue")
    line.append(f"  {account.account_key}", style="dim")
    return line


def _lines(account: Account, coverage: Sequence[DatasetCoverage]) -> Iterator[Text]:
    """Yield the lines below: why it is not refreshed, if so; its settings; its data."""
    if account.stop_reason is not None:
        yield Text(f"not refreshed: {account.stop_reason}", style="yellow")
    if account.paused_at is not None:
        yield Text(
            f"paused by {account.paused_by} at {account.paused_at:%Y-%m-%d %H:%M} UTC",
            style="yellow",
        )
    if account.alias is not None:
        yield Text(f"an alias of {account.name}", style="dim")
    refreshed = f"refreshed {account.ads_account.cadence}"
    yield Text(f"{account.currency_code}, {account.time_zone}, {refreshed}", style="dim")
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
