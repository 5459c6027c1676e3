"""Commands on what is overridden of the registry of datasets."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bidbeacon_pipelines.cli.account_names import OnlyAccount
from bidbeacon_pipelines.cli.database import database_url
from bidbeacon_pipelines.cli.errors import BadOptionError, plain_errors
from bidbeacon_pipelines.cli.output import Json, console, print_json
from bidbeacon_pipelines.settings import Region, get_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from bidbeacon_pipelines.accounts.tables import AdsAccount
    from bidbeacon_pipelines.datasets.registry import Dataset
    from bidbeacon_sessions import SessionStore

contract_app = typer.Typer(
    no_args_is_help=True,
    help="What Amazon serves differently from the registry: learned from its answers, or set by a person.",
)

_Region = Annotated[Region, typer.Argument(help="NA, EU or FE.")]
_Dataset = Annotated[str, typer.Argument(help="The dataset's name.")]
_What = Annotated[
    str,
    typer.Argument(
        help="grouping, field:NAME (our name of a field), history:REPORT or period:REPORT (in days)."
    ),
]
_Value = Annotated[str, typer.Argument(help="A grouping like SP,SB+SD, a field's name, or days.")]


@contract_app.command("list")
@plain_errors
def contract_list(as_json: Json = False) -> None:
    """Show what is overridden of the registry, by whom and since when."""
    from bidbeacon_pipelines.datasets.override_queries import list_overrides

    with _store().begin() as connection:
        overrides = list_overrides(connection)
    if as_json:
        print_json([dict(one) for one in overrides])
        return
    for one in overrides:
        console.print(_line(one), highlight=False, markup=False)
    if not overrides:
        console.print("Nothing of the registry is overridden.")


def _line(one: Mapping[Any, Any]) -> str:
    of = "" if one["ads_account_key"] is None else f" of {one['ads_account_key']}"
    by = f"{one['set_by']}, {one['set_at']:%Y-%m-%d}"
    return f"{one['region']} {one['dataset']}{of}: {one['what']} {one['value']} ({by})"


@contract_app.command("set")
@plain_errors
def contract_set(
    region: _Region, dataset: _Dataset, what: _What, value: _Value, account: OnlyAccount = None
) -> None:
    """Override the registry, for a region or one of its ads accounts; another grouping loads the dataset again."""
    from bidbeacon_pipelines.datasets.contract import check_override
    from bidbeacon_pipelines.datasets.registry import get_dataset

    found = get_dataset(dataset)
    try:
        check_override(found, what, value, of_one=account is not None)
    except ValueError as error:
        raise BadOptionError(str(error)) from None
    _change(region, found, what, value, account)
    console.print(f"{what} of {dataset} in {region} is {value}.", highlight=False, markup=False)


@contract_app.command("forget")
@plain_errors
def contract_forget(
    region: _Region, dataset: _Dataset, what: _What, account: OnlyAccount = None
) -> None:
    """Use again what the registry says."""
    from bidbeacon_pipelines.datasets.registry import get_dataset

    if not _change(region, get_dataset(dataset), what, None, account):
        raise BadOptionError(f"Nothing is overridden of {what} of {dataset} in {region}.")
    console.print(
        f"{what} of {dataset} in {region} is what the registry says.",
        highlight=False,
        markup=False,
    )


def _change(
    region: Region, dataset: "Dataset", what: str, value: str | None, account: str | None
) -> bool:
    """Change an override in a session of its own; return whether anything was changed."""
    import bidbeacon_pipelines.actions  # noqa: F401 - registers the sentences
    from bidbeacon_pipelines.accounts.changes import COMMAND_LINE
    from bidbeacon_pipelines.windows.contracts import change_contract
    from bidbeacon_sessions import with_job_session

    store = _store()
    given = {"region": region, "dataset": dataset.name, "what": what, "value": value}
    with store.begin() as connection:
        found, now = _find(connection, account, region)
    with (
        with_job_session("change-contract", store=store, input=given) as session,
        store.begin() as connection,
    ):
        return change_contract(
            connection,
            session,
            region,
            dataset.name,
            what,
            value,
            ads_account=found,
            by=COMMAND_LINE,
            at=now,
        )


def _find(
    connection: "Connection", account: str | None, region: Region
) -> "tuple[AdsAccount | None, datetime]":
    """Return the ads account that is named, and the present instant."""
    from bidbeacon_pipelines.accounts.names import get_named_ads_account
    from bidbeacon_pipelines.database.clock import read_now

    found = None if account is None else get_named_ads_account(connection, account)
    if found is not None and found.region != region:
        raise BadOptionError(f"{found.label} is in region {found.region}, not in {region}.")
    return found, read_now(connection, get_settings())


def _store() -> "SessionStore":
    from bidbeacon_sessions import SessionStore

    return SessionStore.connect(database_url(get_settings()))
