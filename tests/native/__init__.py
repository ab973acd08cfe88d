"""Tests of the native lane: its build, and what it makes of bytes beside what Python makes of them."""
