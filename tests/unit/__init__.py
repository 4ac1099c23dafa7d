"""Fast tests of pure code and files; no service, no network."""
