"""Everything that happens at run time: plan, worker pools, driver, reports."""
