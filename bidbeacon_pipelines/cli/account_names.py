"""The options and arguments that name an account, and their completion in a shell."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bidbeacon_pipelines.accounts.tables import Account

_HELP = "its name, its alias or its key"


def complete_account(incomplete: str) -> list[tuple[str, str]]:
    """Return what an account can be called in a shell without quotes, with its label; nothing where no database answers.

    A name that several accounts have is completed to their keys.
    """
    try:
        accounts = _list_accounts()
    except Exception:  # noqa: BLE001 - a completion has nowhere to print an error
        return []
    from bidbeacon_pipelines.accounts.rules import slug_of

    slugs = [slug_of(account.label) for account in accounts]
    names = [
        slug if slugs.count(slug) == 1 else account.account_key
        for account, slug in zip(accounts, slugs, strict=True)
    ]
    begun = incomplete.casefold()
    return [
        (name if name.casefold().startswith(begun) else account.account_key, account.label)
        for account, name in zip(accounts, names, strict=True)
        if name.casefold().startswith(begun) or account.account_key.casefold().startswith(begun)
    ]


def _list_accounts() -> list["Account"]:
    from bidbeacon_pipelines.accounts.queries import list_accounts
    from bidbeacon_pipelines.cli.database import database_url
    from bidbeacon_pipelines.database.engine import shared_engine
    from bidbeacon_pipelines.settings import get_settings

    with shared_engine(database_url(get_settings())).begin() as connection:
        return list_accounts(connection)


AccountOption = Annotated[
    str, typer.Option("--account", help=f"The account: {_HELP}.", autocompletion=complete_account)
]
OnlyAccount = Annotated[
    str | None,
    typer.Option("--account", help=f"Only this account: {_HELP}.", autocompletion=complete_account),
]
AccountArgument = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT", help=f"The account: {_HELP}.", autocompletion=complete_account
    ),
]
CountryOption = Annotated[
    str | None, typer.Option("--country", help="Its country, where the name has several: DE.")
]
