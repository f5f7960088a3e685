"""CycleGAN experiments for unpaired MRI contrast translation."""
