"""What one experiment runs, and what is deployed: pipelines, models, metrics, splits, gate, versions."""
