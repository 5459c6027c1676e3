"""What can go wrong before the sandbox runs; each message is a sentence for the person who started it."""


class SandboxError(Exception):
    """The sandbox can't be started as asked."""


class OptionError(SandboxError):
    """An option can't be understood; the message says what there is."""


class AddressTakenError(SandboxError):
    """Something else listens where the sandbox should."""
