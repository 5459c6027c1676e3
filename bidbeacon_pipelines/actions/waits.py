"""The things a session waits for, shown as "waiting for …" (see `Action.ends_wait_for`)."""

AMAZON = "Amazon"
FREE_SLOT = "a free report slot"
