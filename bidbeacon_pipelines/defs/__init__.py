"""Dagster's assets, checks, jobs, schedules and sensors; they call the other packages."""
