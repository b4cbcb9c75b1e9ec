"""Scenarios written as ladders: packets left of the bar, what tcpscope must say of them right of it."""
