"""Fast tests of the Python client."""
