"""supervisor.yaml: read, checked and explained."""
