"""What may be asked of a running coordinator: a desk for each matter, its questions and shapes."""
