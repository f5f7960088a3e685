"""Sweeps, many runs from one command: job labels, devices, failures, Optuna studies and ranking."""
