"""Causes of death from what relatives told: which model, and is tuning worth it, on known sites and new."""
