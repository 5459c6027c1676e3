"""Dagster's assets, checks, jobs, schedules and sensors; thin, with the work elsewhere."""
