"""What the jobs do, without Dagster: the same functions serve assets, schedules, the command line and tests."""
