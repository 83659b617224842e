"""The proof of the promise: worlds of real processes, what is done to them, and the judge of what remains.

Nothing here is part of the service; it uses it from outside, as its clients and its gateways do.
"""
