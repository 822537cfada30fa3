"""`orchestrator compare`: models x training sizes x sites, known and unknown, with and without tuning.

`design` says what is compared and refuses what cannot be; `rows` deals the rows; `job` is what a worker does;
`tuned` tunes, `fits` fits and tests, `results` puts their figures together, `run` is all of it in a row.
"""
