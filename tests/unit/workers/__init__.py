"""The workers, one rule a test."""
