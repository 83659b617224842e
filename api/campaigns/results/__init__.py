"""What became of a campaign: recipient by recipient, by gateway, country and error, and while it happens."""
