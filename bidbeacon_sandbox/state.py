"""The state of one sandbox: everything that it holds while it runs."""

import json
from pathlib import Path
from typing import Any

from bidbeacon_sandbox.accounts import make_accounts
from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.clock import SandboxClock
from bidbeacon_sandbox.credentials import Rates, Tokens
from bidbeacon_sandbox.exports import Exports
from bidbeacon_sandbox.files import PartFiles, Signer, open_state_folder
from bidbeacon_sandbox.ledger import Ledger
from bidbeacon_sandbox.reports import Reports
from bidbeacon_sandbox.rulebook import Rulebook, RuleError, check_accounts, read_rules
from bidbeacon_sandbox.settings import OptionError, SandboxConfig


class SandboxState:
    """The state of one sandbox; rules, clock and ledger may be used from another thread.

    Raises:
        OptionError: a rule can't be understood, or names no account.
        StateFolderError: the state folder can't be used.
    """

    def __init__(self, config: SandboxConfig) -> None:
        folder = open_state_folder(config.state_dir)
        self.config = config
        self.clock = SandboxClock(
            config.clock_start, config.clock_rate, folder and folder / "clock.json"
        )
        self.ledger = Ledger()
        self.rates = Rates(config.calls_per_second)
        accounts = make_accounts(
            config.seed,
            config.accounts,
            config.rows_per_day,
            config.countries,
            long_ids=config.long_ids,
        )
        try:
            rules = (*config.rules, *_read_file(config.rules_file))
            check_accounts(rules, accounts.accounts)
            self.rules = Rulebook(
                config.seed, self.clock.now, rules, folder and folder / "rules.json"
            )
        except RuleError as error:
            raise OptionError(f"A rule is invalid: {error}") from None
        self.world = World(config.seed, accounts, long_ids=config.long_ids)
        self.tokens = Tokens(config.token_seconds)
        self.reports = Reports(config, self.world)
        self.exports = Exports(config, self.world)
        self.signer = Signer(config.seed)
        self.files = PartFiles(config.part_rows, config.cache_bytes, config.state_dir)

    def close(self) -> None:
        """Remove the generated files."""
        self.files.close()


def _read_file(file: Path | None) -> tuple[Any, ...]:
    if file is None:
        return ()
    try:
        return read_rules(json.loads(file.read_text()))
    except OSError as error:
        raise OptionError(f"{file} can't be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise OptionError(f"{file} is not JSON: {error}") from error
