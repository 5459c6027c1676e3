"""Performance measurements: figures with their bounds, by suite."""
