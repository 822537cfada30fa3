"""How property tests search.

Plain `pytest` takes the same examples on every run, so that a change is never blamed for a rare find that was
there before it. `pytest --hypothesis-profile=long` looks for new ones: other examples each time, twenty times
as many in the tests that give no number of their own.

In the root, where pytest looks first: a profile must be known before the command line names it.
"""

from hypothesis import settings

settings.register_profile("steady", derandomize=True)
settings.register_profile("long", max_examples=2000)
settings.load_profile("steady")
