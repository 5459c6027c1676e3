"""Loaded days in Dagster: unrecorded days, lost materializations, and events of old runs.

`queries` has SQL on our windows, `dagster_queries` SQL on Dagster's own tables.
`bidbeacon_pipelines.defs.materializations` logs the materializations.
"""
