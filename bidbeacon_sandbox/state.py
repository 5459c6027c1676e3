"""The state of one sandbox: everything that it holds while it runs."""

from bidbeacon_sandbox.catalog import World
from bidbeacon_sandbox.clock import SandboxClock
from bidbeacon_sandbox.credentials import Tokens
from bidbeacon_sandbox.exports import Exports
from bidbeacon_sandbox.files import Files, SignedUrls
from bidbeacon_sandbox.ledger import Ledger
from bidbeacon_sandbox.reports import Reports
from bidbeacon_sandbox.rulebook import Rulebook, check_names
from bidbeacon_sandbox.settings import SandboxConfig


class SandboxState:
    """The state of one sandbox; rules, clock and ledger may be used from another thread.

    Raises:
        RuleError: a rule names no account or client that there is.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.world = World(config)
        self.clients = [one.client_id for one in config.credentials]
        check_names(config.rules, self.world.accounts.accounts, self.clients)
        self.clock = SandboxClock(config.clock_start, is_frozen=config.clock_frozen)
        self.rules = Rulebook(config.seed, self.clock.now, config.rules)
        self.reports = Reports(self.world)
        self.exports = Exports(self.world)
        self.ledger = Ledger()
        self.tokens = Tokens(config.token_seconds)
        self.urls = SignedUrls()
        self.files = Files(config.part_rows)
