"""The durable record of jobs, attempts, notices and incidents."""
