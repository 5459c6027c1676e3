"""What can go wrong before the sandbox runs; each message is a sentence for the person who started it."""


class SandboxError(Exception):
    """The sandbox can't be started as asked."""


class OptionError(SandboxError):
    """An option can't be understood; the message says what there is."""


class CannotListenError(SandboxError):
    """The sandbox's address can't be listened on."""


class StateFolderError(SandboxError):
    """The folder for reports in flight can't be read or written."""
