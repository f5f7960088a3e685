"""Evaluation of translation quality: metrics, audits, baselines and the report."""
