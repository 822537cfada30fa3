"""Five applications, each in a folder of its own: what is its own, and a run from tuning to production."""
