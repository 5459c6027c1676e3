"""From Amazon's files to rows in Postgres: download, decode, check, resolve targets, load."""
