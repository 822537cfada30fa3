"""A weighted recommender of films: its constants, tuned and deployed in two phases."""
