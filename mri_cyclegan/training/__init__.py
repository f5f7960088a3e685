"""The LightningModule and what it trains with."""
