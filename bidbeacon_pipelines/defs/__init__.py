"""Dagster's side: assets, jobs, schedules and sensors, thin.

What they do is in `bidbeacon_pipelines.services`.
"""
