"""Attachments: files that go with messages, and the links by which gateways fetch them."""
