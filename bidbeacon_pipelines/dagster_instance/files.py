"""Where Dagster keeps files: below our home folder, whatever the working directory and with or without DAGSTER_HOME."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dagster._config import UserConfigSchema
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData

from bidbeacon_pipelines.dev.services import dagster_home
from bidbeacon_pipelines.private_files import keep_new_files_private, make_private_folder
from bidbeacon_pipelines.settings import get_settings


class BidBeaconArtifacts(LocalArtifactStorage):
    """Dagster's local files, in `<home>/dagster`; its configuration in `dagster.yaml` is empty."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Declare that there is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Make the storage when Dagster loads `dagster.yaml`."""
        del config_value  # nothing is configured
        return cls(base_dir=str(_private_home()), inst_data=inst_data)


class BidBeaconComputeLogs(LocalComputeLogManager):
    """What steps print, in `<home>/dagster/compute_logs`; kept when plain `dagster dev` ends, unlike Dagster's default."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Declare that there is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Make the log manager when Dagster loads `dagster.yaml`."""
        del config_value  # nothing is configured
        _private_home()
        return cls(base_dir=str(get_settings().compute_logs), inst_data=inst_data)


def _private_home() -> Path:
    """Return Dagster's home; what this process writes there, and anywhere, is for its owner alone."""
    keep_new_files_private()
    home = dagster_home(get_settings())
    make_private_folder(home)
    return home
