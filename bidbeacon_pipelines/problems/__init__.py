"""What is wrong, and what to do: Home, doctor, alerts, checks, explanations."""
