"""Tests that download, cut and preview small real clips."""
