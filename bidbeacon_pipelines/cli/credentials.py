"""Commands for credentials, which are named refresh tokens, and for their ads accounts."""

from collections import Counter
from typing import Annotated, Any

import typer

from bidbeacon_pipelines.accounts.changes import COMMAND_LINE, AccountChanges
from bidbeacon_pipelines.accounts.credential_queries import list_listed, summarize_credentials
from bidbeacon_pipelines.amazon_ads.accounts import list_accounts
from bidbeacon_pipelines.amazon_ads.client import RetryPolicy, connect
from bidbeacon_pipelines.amazon_ads.errors import AdsApiError
from bidbeacon_pipelines.causes import explain
from bidbeacon_pipelines.cli.options import complete_account, get_ads_account, open_store
from bidbeacon_pipelines.cli.output import Json, Row, console, print_json, print_list
from bidbeacon_pipelines.credentials import Credential
from bidbeacon_pipelines.problems.findings import counted
from bidbeacon_pipelines.settings import Settings, get_settings
from bidbeacon_sessions.errors import UsageError

_Name = Annotated[str, typer.Argument(help="The credential's name.")]
_OnlyName = Annotated[str | None, typer.Argument(help="The credential's name (default: all).")]
_Accounts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ACCOUNT]...",
        help="Names, aliases or keys of ads accounts (default: see above).",
        autocompletion=complete_account,
    ),
]


def credentials_list(as_json: Json = False) -> None:
    """Show each credential, the number of its ads accounts, and whether Amazon refuses it."""
    settings = get_settings()
    with open_store().begin() as connection:
        stored = summarize_credentials(connection)
    unused: dict[str, Any] = {"ads_accounts": 0, "listed_twice": 0}
    unused |= dict.fromkeys(("last_answer_at", "refused", "refused_since"))
    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys([*settings.credentials, *stored]):
        one = settings.credentials.get(name)
        of_set = {"client_id": one and one.client_id, "region": one and one.region}
        of = {"credential": name, "is_set": one is not None} | of_set
        rows.append(of | unused | dict(stored.get(name, {})))
    empty = "No credential is set, and no ads account belongs to a credential."
    print_list(rows, _print_credential, as_json=as_json, if_empty=empty)


def _print_credential(row: Row) -> None:
    of = f"{row['client_id']}, {row['region']}" if row["is_set"] else "no longer configured"
    line = f"{row['credential']} ({of}): {counted(row['ads_accounts'], 'ads account')}"
    if row["listed_twice"]:
        line += f", {row['listed_twice']:,} of them listed by other credentials too"
    if row["last_answer_at"]:
        line += f"; last answer at {row['last_answer_at']:%Y-%m-%d %H:%M} UTC"
    console.print(line)
    if row["refused"] is not None:
        since, why = row["refused_since"], explain(row["refused"]).text
        console.print(f"  refused since {since:%Y-%m-%d %H:%M} UTC: {why}")


def credentials_check(name: _OnlyName = None, as_json: Json = False) -> None:
    """Check whether Amazon accepts each credential, and count the accounts of each.

    Needs no database. Exits with 1 if a credential is refused or a region does not answer.
    """
    settings = get_settings()
    chosen = [_get_credential(settings, name)] if name else list(settings.credentials.values())
    if not chosen:
        raise UsageError(explain({"code": "credentials-incomplete"}).text)
    rows = []
    for one in chosen:
        rows.append(_check(settings, one))
        if not as_json:
            _print_answer(rows[-1])
    if as_json:
        print_json(rows)
    if any(row["errors"] for row in rows):
        raise typer.Exit(1)


def _check(settings: Settings, credential: Credential) -> dict[str, Any]:
    row: dict[str, Any] = {"credential": credential.name, "client_id": credential.client_id}
    row |= {"accounts": {}, "ads_accounts": 0, "errors": []}
    hasty = RetryPolicy(attempts=2, patience=2.0)
    try:
        with connect(settings, credential.name, retry=hasty) as client:
            listing = list_accounts(client)
    except AdsApiError as error:
        return row | {"errors": [str(error)]}
    row["accounts"] = dict(Counter(account.region for account in listing.accounts))
    row["ads_accounts"] = len({account.account_id for account in listing.accounts})
    row["errors"] = [f"{region}: {error}" for region, error in listing.errors.items()]
    return row


def _print_answer(row: dict[str, Any]) -> None:
    found = ", ".join(f"{number:,} in {region}" for region, number in row["accounts"].items())
    lists = f"{counted(row['ads_accounts'], 'ads account')} (accounts: {found or 'none'})"
    lines = [] if row["errors"] and not row["accounts"] else [f"accepted; lists {lists}"]
    console.print(f"{row['credential']}: " + "\n  ".join(lines + row["errors"]))


def credentials_assign(name: _Name, accounts: _Accounts = None) -> None:
    """Assign ads accounts to a credential, so that BidBeacon uses it for their requests.

    The default is every ads account that Amazon lists for this credential, except those that only
    this credential lists and that already belong to it.
    """
    settings = get_settings()
    credential = _get_credential(settings, name)
    store = open_store()
    if accounts:
        found = [get_ads_account(given) for given in accounts]
    else:
        with store.begin() as connection:
            listed = list_listed(connection, name)
        found = [one for one in listed if {*one.listed_by, one.credential} != {name}]
    changes = AccountChanges(store, settings, by=COMMAND_LINE)
    for account in found:
        changes.assign(account, credential)
    moved = counted(len(found), "ads account", "ads accounts")
    console.print(f"Assigned {moved} to credential {name}.")


def _get_credential(settings: Settings, name: str) -> Credential:
    found = settings.credentials.get(name)
    if found is None:
        names = ", ".join(settings.credentials) or "the settings have no complete credential"
        raise UsageError(f"Expected the name of a credential ({names}), got: {name}.")
    return found
