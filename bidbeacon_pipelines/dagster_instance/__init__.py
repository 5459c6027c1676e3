"""The classes that `dagster.yaml` names: Dagster's storage, files and run queue, set up from our settings."""
