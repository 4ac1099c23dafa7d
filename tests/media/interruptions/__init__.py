"""Jobs of the processors that are interrupted at random instants, and what must hold afterwards."""
