"""The one door to gateways, its lines and logins, and what may be kept of an exchange; and the mail server's door."""
