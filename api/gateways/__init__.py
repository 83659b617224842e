"""The operator's gateways over HTTP: configured, put in order, switched on and off. Nothing here talks to one."""
