"""What ends the demo before its end."""


class DemoFailed(RuntimeError):
    """A step did not come out as it should; the sentence says which and why."""
