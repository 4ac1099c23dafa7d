"""Mixed jobs under random faults: what was confirmed is counted against what became of it."""
