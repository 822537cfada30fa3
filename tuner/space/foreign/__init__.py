"""Search spaces as people have them: dictionaries in other tools' words, and the objects of those tools.

Objects are known by the names of their classes, so that no tool is imported for it. `SearchSpace.of` is the
way in; a table of `retrain.toml` is read in the same words (`dialect`).
"""
