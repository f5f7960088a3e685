"""Many runs from one command: their labels, devices, failures, study and ranking."""
