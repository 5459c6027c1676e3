"""The commands on credentials: named refresh tokens, and the ads accounts that belong to each."""

from collections import Counter
from typing import Annotated, Any

import typer

from bidbeacon_pipelines.accounts.changes import COMMAND_LINE, AccountChanges
from bidbeacon_pipelines.accounts.credential_queries import list_listed, summarize_credentials
from bidbeacon_pipelines.accounts.names import get_named_ads_account
from bidbeacon_pipelines.amazon_ads.accounts import list_accounts
from bidbeacon_pipelines.amazon_ads.client import RetryPolicy, connect
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.cli.database import open_store
from bidbeacon_pipelines.cli.errors import BadOptionError, ExitCode
from bidbeacon_pipelines.cli.options import complete_account
from bidbeacon_pipelines.cli.output import Json, print_json, print_line
from bidbeacon_pipelines.credentials import Credential
from bidbeacon_pipelines.problems.findings import counted
from bidbeacon_pipelines.settings import Settings, get_settings

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The credential's name.")]
_OnlyName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="The credential's name; absent: all.")
]
_Accounts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ACCOUNT]...",
        help="Ads accounts: their names, aliases or keys; absent: all that it lists.",
        autocompletion=complete_account,
    ),
]


def credentials_list(as_json: Json = False) -> None:
    """Show the credentials, how many ads accounts belong to each, and whether Amazon refuses it."""
    settings = get_settings()
    with open_store().begin() as connection:
        stored = summarize_credentials(connection)
    unused = {"ads_accounts": 0, "listed_twice": 0, "refused": None, "refused_since": None}
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys([*settings.credentials, *stored]):
        facts = {"last_answer_at": None} | unused | dict(stored.get(name, {}))
        one = settings.credentials.get(name)
        of_set = {"client_id": one and one.client_id, "region": one and one.region}
        rows.append({"credential": name, "is_set": one is not None} | of_set | facts)
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            print_line("\n".join(_lines(row)))


def _lines(row: dict[str, Any]) -> list[str]:
    of = f"{row['client_id']}, {row['region']}" if row["is_set"] else "not set any more"
    line = f"{row['credential']} ({of}): {counted(row['ads_accounts'], 'ads account')}"
    if row["listed_twice"]:
        line += f", {row['listed_twice']:,} of them listed by others too"
    if row["last_answer_at"]:
        line += f"; last answer at {row['last_answer_at']:%Y-%m-%d %H:%M} UTC"
    if row["refused"] is None:
        return [line]
    since, why = row["refused_since"], explain(row["refused"]).text
    return [line, f"  refused since {since:%Y-%m-%d %H:%M} UTC: {why}"]


def credentials_check(name: _OnlyName = None, as_json: Json = False) -> None:
    """Ask Amazon whether it accepts the credentials, and what it lists for each; needs no database.

    Exits with 1 if one is refused, or a region does not answer.
    """
    settings = get_settings()
    chosen = [_get_credential(settings, name)] if name else list(settings.credentials.values())
    if not chosen:
        raise BadOptionError(explain({"code": "credentials-incomplete"}).text)
    rows, listed_by = [], dict[str, list[str]]()
    for one in chosen:
        row, account_ids = _check(settings, one)
        rows.append(row)
        for account_id in account_ids:
            listed_by.setdefault(account_id, []).append(one.name)
        if not as_json:
            print_line(_checked(row))
    if as_json:
        print_json(rows)
    else:
        _print_listed_twice(listed_by)
    if any(row["errors"] for row in rows):
        raise typer.Exit(ExitCode.FAILED)


def _check(settings: Settings, credential: Credential) -> tuple[dict[str, Any], list[str]]:
    """Return what Amazon answers to a credential, and the ids of the ads accounts that it lists."""
    row: dict[str, Any] = {"credential": credential.name, "client_id": credential.client_id}
    row |= {"accounts": {}, "ads_accounts": 0, "errors": []}
    hasty = RetryPolicy(attempts=2, patience=2.0)
    try:
        with connect(settings, credential.name, retry=hasty) as client:
            listing = list_accounts(client)
    except AdsApiError as error:
        return row | {"errors": [str(error)]}, []
    account_ids = list(dict.fromkeys(account.account_id for account in listing.accounts))
    row["accounts"] = dict(Counter(account.region for account in listing.accounts))
    row["ads_accounts"] = len(account_ids)
    row["errors"] = [f"{region}: {error}" for region, error in listing.errors.items()]
    return row, account_ids


def _checked(row: dict[str, Any]) -> str:
    found = ", ".join(f"{number:,} in {region}" for region, number in row["accounts"].items())
    lists = f"{counted(row['ads_accounts'], 'ads account')}, {found or 'no accounts'}"
    lines = [] if row["errors"] and not row["accounts"] else [f"accepted; lists {lists}"]
    return f"{row['credential']}: " + "\n  ".join(lines + row["errors"])


def _print_listed_twice(listed_by: dict[str, list[str]]) -> None:
    for names, number in Counter(map(tuple, listed_by.values())).items():
        if len(names) > 1:
            accounts = counted(number, "ads account")
            said = f"{accounts} listed by {' and '.join(names)}: `bidbeacon credentials assign` decides whose"
            whose = "it is" if number == 1 else "they are"
            print_line(f"{said} {whose}.")


def credentials_assign(name: _Name, accounts: _Accounts = None) -> None:
    """Let ads accounts belong to a credential that lists them, where several do."""
    settings = get_settings()
    credential = _get_credential(settings, name)
    store = open_store()
    with store.begin() as connection:
        if accounts:
            found = [get_named_ads_account(connection, given) for given in accounts]
        else:
            listed = list_listed(connection, name)
            found = [one for one in listed if {*one.listed_by, one.credential} != {name}]
    changes = AccountChanges(store, settings, by=COMMAND_LINE)
    for account in found:
        changes.assign(account, credential)
    said = f"{counted(len(found), 'ads account')} now {'belongs' if len(found) == 1 else 'belong'}"
    print_line(f"{said} to {name}.")


def _get_credential(settings: Settings, name: str) -> Credential:
    found = settings.credentials.get(name)
    if found is None:
        names = ", ".join(settings.credentials) or "none is set completely"
        raise BadOptionError(f"Expected the name of a credential ({names}), got: {name}.")
    return found
