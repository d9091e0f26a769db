"""Digests of files, trees and code, and what is remembered of them."""
