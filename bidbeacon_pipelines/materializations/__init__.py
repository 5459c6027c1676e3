"""Loaded days in Dagster: which are recorded, which are lost, and which events are old.

`queries` has SQL on our windows, `dagster_queries` SQL on Dagster's own tables. The events are
logged by `bidbeacon_pipelines.defs.materializations`.
"""
