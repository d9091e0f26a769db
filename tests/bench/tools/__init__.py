"""The tools that are measured, each with the settings that its own documentation recommends for a quick run."""
