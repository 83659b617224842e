"""The quota: what may still be sent, the ledger behind it, and grants."""
