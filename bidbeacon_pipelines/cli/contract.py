"""Commands for overrides of the registry of datasets."""

from typing import Annotated, Any

import typer

from bidbeacon_pipelines.accounts.changes import COMMAND_LINE
from bidbeacon_pipelines.cli.options import OnlyAccount, get_ads_account, open_store
from bidbeacon_pipelines.cli.output import Json, Row, console, print_list
from bidbeacon_pipelines.contract.queries import list_overrides
from bidbeacon_pipelines.contract.rules import check_override, make_contract
from bidbeacon_pipelines.database.clock import read_now
from bidbeacon_pipelines.datasets.registry import Dataset, get_dataset
from bidbeacon_pipelines.settings import Region, get_settings
from bidbeacon_pipelines.windows.contract_changes import change_contract
from bidbeacon_sessions import with_job_session
from bidbeacon_sessions.errors import UsageError

_Region = Annotated[Region, typer.Argument(help="NA, EU or FE.")]
_Dataset = Annotated[str, typer.Argument(help="The dataset's name.")]
_Subject = Annotated[
    str,
    typer.Argument(
        help="The overridden value: grouping, field:NAME (BidBeacon's name of a field), "
        "history:REPORT (in days) or period:REPORT (in days)."
    ),
]
_Value = Annotated[
    str,
    typer.Argument(help="A grouping (SP,SB+SD), Amazon's name of the field, or a number of days."),
]


def contract_list(as_json: Json = False) -> None:
    """Show the overrides of the registry of datasets, with author and date."""
    with open_store().begin() as connection:
        overrides = list_overrides(connection)
    empty = "The registry has no overrides."
    print_list(overrides, _print_override, as_json=as_json, if_empty=empty)


def _print_override(one: Row) -> None:
    of = "" if one["ads_account_key"] is None else f" of {one['ads_account_key']}"
    by = f"{one['set_by']}, {one['set_at']:%Y-%m-%d}"
    console.print(f"{one['region']} {one['dataset']}{of}: {one['subject']} {one['value']} ({by})")


def contract_set(
    region: _Region,
    dataset: _Dataset,
    subject: _Subject,
    value: _Value,
    account: OnlyAccount = None,
) -> None:
    """Override a value of the registry for a region or for one ads account of the region.

    A grouping states which ad products one report contains. After a new grouping, the dataset's
    report windows are replaced by windows of the new reports.
    """
    names = _read_names(region, get_dataset(dataset), account)
    try:
        check_override(
            get_dataset(dataset), subject, value, of_one=account is not None, names=names
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    _change(region, dataset, subject, value, account)
    console.print(f"{subject} of {dataset} in {region} is {value}.")


def _read_names(region: Region, dataset: Dataset, account: str | None) -> dict[str, str]:
    of = {None} if account is None else {None, get_ads_account(account).account_id}
    with open_store().begin() as connection:
        overrides = list_overrides(connection)
    counting = [one for one in overrides if one["region"] == region and one["account_id"] in of]
    return make_contract(counting, None).spellings(dataset)


def contract_forget(
    region: _Region, dataset: _Dataset, subject: _Subject, account: OnlyAccount = None
) -> None:
    """Remove an override, so that BidBeacon uses the value of the registry again."""
    get_dataset(dataset)
    if not _change(region, dataset, subject, None, account):
        raise UsageError(f"There is no override of {subject} of {dataset} in {region}.")
    console.print(f"{subject} of {dataset} in {region} has the registry's value again.")


def _change(
    region: Region, dataset: str, subject: str, value: str | None, account: str | None
) -> bool:
    store, by = open_store(), COMMAND_LINE
    found = None if account is None else get_ads_account(account)
    if found is not None and found.region != region:
        raise UsageError(f"{found.label} is in region {found.region}, not in {region}.")
    given: dict[str, Any] = {
        "region": region,
        "dataset": dataset,
        "subject": subject,
        "value": value,
    }
    with (
        with_job_session("change-contract", store=store, input=given) as session,
        store.begin() as connection,
    ):
        now = read_now(connection, get_settings())
        return change_contract(connection, session, **given, ads_account=found, by=by, at=now)
