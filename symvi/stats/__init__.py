"""Distributions, supports and their transforms, random variables, and `Model`."""
