"""All processes: how they live, die and are seen."""
