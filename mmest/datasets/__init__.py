"""Data sets and metrics that mmdet and mmseg lack."""
