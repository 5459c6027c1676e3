"""The things a session waits for; the page says "waiting for …" (see `Action.ends_wait_for`)."""

AMAZON = "Amazon"
FREE_SLOT = "a free report slot"
