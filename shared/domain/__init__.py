"""The rules of the service as pure code: values in, values out, no clock and no socket."""
