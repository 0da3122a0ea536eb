"""Segments with lists, merging in steps, centroids that grow, maintenance: over small files."""
