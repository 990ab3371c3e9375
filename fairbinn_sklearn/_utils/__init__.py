"""Helpers that do not depend on fairness or training."""
