"""The supervisor, one rule a test."""
