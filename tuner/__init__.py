"""What to try, and what was tried: a pure library of search spaces, generators and the registry."""
