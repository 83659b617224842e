"""The HTTP process: requests in, rows and problems out. Only the dispatcher moves a message's status."""
