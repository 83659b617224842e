"""What can go wrong before a local server stands: sentences for the person at the terminal."""


class ServerFailed(RuntimeError):
    """A local server could not be started, stopped or asked; the message says what helps."""


class StateInUse(ServerFailed):
    """Another live process runs a server in this directory."""
