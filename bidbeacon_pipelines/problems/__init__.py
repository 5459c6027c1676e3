"""Problems and what to do about them: findings, alerts, checks, explanations, Home."""
