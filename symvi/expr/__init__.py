"""Dims, labels, hash-consed nodes and their canonical constructors, facts, provenance, printing."""
