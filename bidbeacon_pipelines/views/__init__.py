"""The analysts' views of schema `reports`: datasets, account days, restatements, entities."""

from bidbeacon_pipelines.views.catalog import REPORT_VIEWS, make_views
from bidbeacon_pipelines.views.datasets import COMMON_COLUMNS, list_joined_entities
from bidbeacon_pipelines.views.days import (
    ACCOUNT_DAYS,
    ACCOUNT_DAYS_VIEW,
    DAYS_VIEW,
    REPORT_DAYS_VIEW,
    RESTATEMENTS_VIEW,
)
from bidbeacon_pipelines.views.view import SCHEMA, ReportView, ViewColumn, name_type

__all__ = [
    "ACCOUNT_DAYS",
    "ACCOUNT_DAYS_VIEW",
    "COMMON_COLUMNS",
    "DAYS_VIEW",
    "REPORT_DAYS_VIEW",
    "REPORT_VIEWS",
    "RESTATEMENTS_VIEW",
    "SCHEMA",
    "ReportView",
    "ViewColumn",
    "list_joined_entities",
    "make_views",
    "name_type",
]
