"""Owners' gateway scripts, run in a process that can be killed.

`scripts.py` is the way in; docs/gateways/lua.md says what a script may do; decision 19 says why it is so.
"""
