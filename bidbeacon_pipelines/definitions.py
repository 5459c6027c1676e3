"""The code location: what the modules of `defs` define, with the executor and resources of all of it."""

from pathlib import Path

from dagster import Definitions, in_process_executor, load_from_defs_folder

from bidbeacon_pipelines.defs.resources import BidBeaconSessions

defs = Definitions.merge(
    load_from_defs_folder(path_within_project=Path(__file__).parent),
    Definitions(
        # A run is one process, its worker: half the CPU time, and no step that works on after its
        # run was killed.
        executor=in_process_executor,
        resources={"job_sessions": BidBeaconSessions()},
    ),
)
