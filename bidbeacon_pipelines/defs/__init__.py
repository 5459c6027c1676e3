"""Dagster's side: assets, jobs, schedules and sensors, thin.

The work itself is in the rooms: `accounts`, `entities`, `requests`, `loading`, `summaries`, `problems`.
"""
