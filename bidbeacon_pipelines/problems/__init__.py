"""Problems and what to do about them: Home, doctor, alerts, checks, explanations."""
