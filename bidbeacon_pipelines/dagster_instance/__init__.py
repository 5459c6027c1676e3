"""The classes that `dagster.yaml` names: Dagster's storage and run queue, set up from our settings."""
