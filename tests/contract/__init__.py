"""What every adapter of a port must do, run over each adapter."""
