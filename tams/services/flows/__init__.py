"""Flows, Sources, their collections, and Profiles."""
