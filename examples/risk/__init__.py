"""Who will not pay next month? XGBoost on the clients of a credit card, tuned, promoted and watched."""
