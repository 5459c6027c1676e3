"""The database of the pipelines: tables, and one module of SQL per subject.

All of the pipelines' SQL is here.
"""
