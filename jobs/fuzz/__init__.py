"""Hostile input by the hundred thousand: every reader of foreign bytes is fuzzed."""
