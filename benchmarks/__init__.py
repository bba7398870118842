"""Programs that measure, by purpose; `python -m benchmarks` lists them. What they wrote is in `results/`."""
