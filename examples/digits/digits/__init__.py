"""Recognising handwritten digits: the steps of this project, one module each."""
