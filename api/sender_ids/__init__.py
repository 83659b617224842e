"""What handsets show as the sender, each through the gateway it is registered with."""
