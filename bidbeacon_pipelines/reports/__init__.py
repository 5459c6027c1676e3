"""Pure decisions about reports: which windows exist, which are due, what to ask for, what to do next."""
