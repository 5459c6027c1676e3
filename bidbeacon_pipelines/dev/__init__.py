"""Running everything on one machine: embedded PostgreSQL, Dagster's storage on it, and the supervisor of `bidbeacon dev`."""
