"""A step of a training pipeline: find hyperparameters on validation data, train with them, hand over both."""
