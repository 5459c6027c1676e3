"""Runs everything locally: embedded PostgreSQL and the services of `bidbeacon dev`."""
