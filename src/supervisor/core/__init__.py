"""Pure decisions: observations in, verdicts with their reasons out."""
