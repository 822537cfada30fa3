"""The files that `retrain init` writes, as data: `<example>.toml`, and `own.toml` for data of one's own."""
