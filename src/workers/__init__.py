"""One process: it does the work and says how it goes."""
