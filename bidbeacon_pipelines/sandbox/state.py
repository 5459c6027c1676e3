"""All that one sandbox is made of, in one place."""

from bidbeacon_pipelines.sandbox.accounts import make_accounts
from bidbeacon_pipelines.sandbox.catalog import World
from bidbeacon_pipelines.sandbox.clock import SandboxClock
from bidbeacon_pipelines.sandbox.config import SandboxConfig
from bidbeacon_pipelines.sandbox.exports import Exports
from bidbeacon_pipelines.sandbox.faults import Faults
from bidbeacon_pipelines.sandbox.ledger import Ledger
from bidbeacon_pipelines.sandbox.part_files import PartFiles
from bidbeacon_pipelines.sandbox.rates import Rates
from bidbeacon_pipelines.sandbox.reports import Reports
from bidbeacon_pipelines.sandbox.signing import Signer
from bidbeacon_pipelines.sandbox.tokens import Tokens


class SandboxState:
    """The state of one sandbox; faults, clock and ledger may be used from another thread."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.clock = SandboxClock(config.clock_start, config.clock_rate)
        self.faults = Faults(config.seed, config.all_faults())
        self.ledger = Ledger()
        self.rates = Rates(config.calls_per_second)
        self.world = World(config.seed, make_accounts(config.seed, config.accounts, config.rows_per_day))
        self.tokens = Tokens(config.token_seconds)
        self.reports = Reports(config, self.world)
        self.exports = Exports(config, self.world)
        self.signer = Signer(config.seed)
        self.files = PartFiles(config.part_rows, config.cache_bytes, config.state_dir)

    def close(self) -> None:
        """Remove the generated files."""
        self.files.close()
