"""Functions of the user's own, called with what happens, in a process of their own."""
