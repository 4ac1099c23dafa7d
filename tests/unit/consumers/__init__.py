"""The consumers, one rule a test."""
