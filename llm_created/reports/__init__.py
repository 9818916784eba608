"""Figures in words, tables and pages."""
