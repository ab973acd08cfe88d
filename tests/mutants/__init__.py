"""Mutation as a habit: small breaks of the recovery glue, each with the tests that must notice it. See ``scripts/mutants --help``."""
