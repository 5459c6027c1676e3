"""The pages in a real Chromium.

A package, so that its tests share one: pytest knows the end of a package, not of a folder.
"""
