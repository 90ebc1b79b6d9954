"""Winnow: curate web-crawled image-text data, and keep the reason for every decision."""

__version__ = "0.1.0"
