"""The way from each schema to the next: one file in `versions` for each step of `user_version`."""
