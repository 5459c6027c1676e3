"""Dagster's code location: the definitions in `defs`, the executor and the resources.

Importing this module reads the settings. It uses no database, network or server.
"""

import warnings

import dagster as dg

from bidbeacon_pipelines import defs as modules
from bidbeacon_pipelines.defs.resources import BidBeaconSessions

with warnings.catch_warnings():
    # The stable `load_from_defs_folder` needs a pyproject.toml, which a wheel does not contain.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    defs = dg.load_definitions_from_package_module(
        modules,
        # Steps run in the run worker: half the CPU time, and no step outlives a killed run.
        executor=dg.in_process_executor,
        resources={"job_sessions": BidBeaconSessions()},
    )
