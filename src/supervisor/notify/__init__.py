"""Telling people what became of their jobs."""
