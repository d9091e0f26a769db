"""The tools that keep data, each with the settings that its own documentation recommends for many files."""
