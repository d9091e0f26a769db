"""The loop of repro: observe, decide, schedule, run, report."""
