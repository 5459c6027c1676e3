"""What is measured: figures with their bounds, by suite."""
