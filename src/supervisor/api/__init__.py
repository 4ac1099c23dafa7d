"""The HTTP face of the coordinator, on a Unix socket."""
