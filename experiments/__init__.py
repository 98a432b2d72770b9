"""Environments, data, training, sweeps and benchmarks: what runs on top of the method."""
