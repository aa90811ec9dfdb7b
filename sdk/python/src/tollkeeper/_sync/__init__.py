"""The synchronous client.

Written by `sdk/generate.py` from `_async/__init__.py`; do not edit.
"""
