"""Loaded days in Dagster: which are recorded, which Dagster has lost, which events are old.

`queries` has SQL on our windows, `dagster_queries` SQL on Dagster's own tables. The events are
logged by `bidbeacon_pipelines.defs.materializations`.
"""
