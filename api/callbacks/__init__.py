"""What gateways tell us: checked, read by their adapter and kept as facts. Only the dispatcher acts on receipts."""
