"""The gateway simulator: a process that behaves like an SMS gateway, well or badly.

It takes messages in the dialects of real gateways, sends receipts, injects faults on request
and writes every message it accepted into an append-only ledger. It shares no code with the
adapters it judges.
"""
