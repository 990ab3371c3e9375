"""Helpers that know nothing of fairness or training."""
