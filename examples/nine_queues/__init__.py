"""Nine queues with their job types and a small real processor for each."""
