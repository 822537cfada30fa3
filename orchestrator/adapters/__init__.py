"""Our generators inside other people's tools. Each module imports the one tool that it is named after."""
