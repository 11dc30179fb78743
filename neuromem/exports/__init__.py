"""Exports end to end: fit, emulate, plan the files; verify a package; bring a board's results back."""
