"""Lightning callbacks: checkpoints, monitoring and pictures of a training run."""
