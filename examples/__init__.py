"""Processors of one's own, to copy from: name one in supervisor.yaml and it runs jobs."""
