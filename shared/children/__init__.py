"""Child processes that may be killed at any moment: how they talk, what they do first, and how they are started."""
