"""Telling three cultivators' wines apart: the steps of this project, one module each."""
