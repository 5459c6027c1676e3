"""Dagster's definitions: assets, checks, jobs, schedules and sensors.

They are thin: the work itself is in packages such as `accounts`, `requests` and `loading`.
"""
