"""How long property tests search: `pytest --hypothesis-profile=long` takes twenty times as many examples.

In the root, where pytest looks first: a profile must be known before the command line names it. Tests that
give no number of their own follow it.
"""

from hypothesis import settings

settings.register_profile("long", max_examples=2000)
