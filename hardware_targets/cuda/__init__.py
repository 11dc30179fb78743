"""NVIDIA GPUs: the toolkit that compiles for them, and the driver that runs them."""
