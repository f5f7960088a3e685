"""The LightningModule and its parts: optimization, loss weights, extra losses, image pools, callbacks."""
